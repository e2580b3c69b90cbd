using DistributedPatterns.ProducerConsumer;

namespace DistributedPatterns.Tests.MemberProcess;

/// <summary>Takes one item and never lets go: waits until its lease is lost, then acknowledges all the same, and says what it is told.</summary>
internal sealed class QueueHolder([FromKeyedServices("distributed:held")] IWorkQueue<string> queue) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var delivery = (await queue.ReserveAsync(1, stoppingToken))[0];
        Console.WriteLine($"@held {delivery.Id} {delivery.Token}");
        var lost = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using (delivery.LeaseLost.UnsafeRegister(_ => lost.TrySetResult(), null))
            await lost.Task.WaitAsync(stoppingToken);
        Console.WriteLine("@lost");
        Console.WriteLine($"@ack {await delivery.AckAsync("late"u8.ToArray(), stoppingToken)}");
    }
}
