using System.Threading.RateLimiting;
using DistributedPatterns.RateLimiting;

namespace DistributedPatterns.Tests.RateLimiting;

public abstract partial class RateLimiterConformance
{
    [Fact(Timeout = HangLimit)]
    public async Task Acquire_OfPermitsThatAreThere_DoesNotWait()
    {
        await using var host = await CreateAsync(LimitSpec.Slow);

        using var lease = await host.Limiter.AcquireAsync(4, TestStop);

        Assert.True(lease.IsAcquired);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Acquire_ByManyWhoWait_ServesThemInOrder()
    {
        await using var host = await CreateAsync(new LimitSpec(1, TimeSpan.FromSeconds(1), 2, 100));
        Assert.True((await host.Limiter.TryAcquireAsync(2, TestStop)).IsAcquired);
        var waiting = new List<Task<RateLimitLease>>();
        for (var i = 0; i < 6; i++)
        {
            waiting.Add(host.Limiter.AcquireAsync(1 + (i % 2), TestStop).AsTask());
            await Support.Eventually.TrueAsync(
                () => host.Limiter.GetStatistics()!.CurrentQueuedCount == waiting.Select((task, k) => task.IsCompleted ? 0 : 1 + (k % 2)).Sum(),
                TimeSpan.FromSeconds(20), () => $"{host.Limiter.GetStatistics()!.CurrentQueuedCount} wait");
        }

        while (waiting.Exists(task => !task.IsCompleted))
        {
            await host.PassAsync(TimeSpan.FromMilliseconds(25));
            var served = waiting.FindLastIndex(task => task.IsCompleted);
            // Who is served before another is done before it, but for the last steps of its own task.
            await Task.WhenAll(waiting.Take(served + 1)).WaitAsync(TimeSpan.FromMilliseconds(800), TimeProvider.System, TestStop);
        }

        Assert.All(waiting, task => Assert.True(task.Result.IsAcquired));
        Assert.Equal(0, host.Limiter.GetStatistics()!.CurrentQueuedCount);
    }

    [Fact(Timeout = HangLimit)]
    public async Task TryAcquire_WhileOthersWait_DoesNotOvertakeThem()
    {
        await using var host = await CreateAsync(LimitSpec.Slow);
        Assert.True((await host.Limiter.TryAcquireAsync(2, TestStop)).IsAcquired);
        using var leave = new CancellationTokenSource();
        var big = host.Limiter.AcquireAsync(4, leave.Token).AsTask();
        await WaitingAsync(host, 4);

        using var denied = await host.Limiter.TryAcquireAsync(1, TestStop); // two are there, but not for this one

        Assert.Equal(DenialReason.LimitReached, denied.GetDenialReason());
        await leave.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => big);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Acquire_MoreThanTheQueueHolds_IsDeniedAtOnce()
    {
        await using var host = await CreateAsync(LimitSpec.Slow with { QueueLimit = 3 });
        Assert.True((await host.Limiter.TryAcquireAsync(4, TestStop)).IsAcquired);
        using var leave = new CancellationTokenSource();
        var waiting = host.Limiter.AcquireAsync(2, leave.Token).AsTask();
        await WaitingAsync(host, 2);

        using var full = await host.Limiter.AcquireAsync(2, TestStop);

        Assert.Equal(DenialReason.QueueFull, full.GetDenialReason());
        await leave.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        Assert.Equal(new RateLimitLedger(1, 1, 0, 1, 0), host.Limiter.GetLedger());
    }

    [Fact(Timeout = HangLimit)]
    public async Task Acquire_HeadCancelled_LetsTheNextGoWithoutWaiting()
    {
        await using var host = await CreateAsync(LimitSpec.Slow);
        Assert.True((await host.Limiter.TryAcquireAsync(2, TestStop)).IsAcquired);
        using var leave = new CancellationTokenSource();
        var big = host.Limiter.AcquireAsync(4, leave.Token).AsTask();
        await WaitingAsync(host, 4);
        var small = host.Limiter.AcquireAsync(2, TestStop).AsTask();
        await WaitingAsync(host, 6);

        await leave.CancelAsync();

        Assert.Equal(leave.Token, (await Assert.ThrowsAnyAsync<OperationCanceledException>(() => big)).CancellationToken);
        Assert.True((await small).IsAcquired); // within the test's limit, and the next permit takes minutes
    }

    [Fact(Timeout = HangLimit)]
    public async Task Acquire_CancelledBefore_ThrowsTheCallersTokenAndTakesNothing()
    {
        await using var host = await CreateAsync(LimitSpec.Slow);
        using var left = new CancellationTokenSource();
        await left.CancelAsync();

        var thrown = await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await host.Limiter.AcquireAsync(1, left.Token));

        Assert.Equal(left.Token, thrown.CancellationToken);
        Assert.True((await host.Limiter.TryAcquireAsync(4, TestStop)).IsAcquired);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Acquire_AStormOfCancellations_LeavesNothingBehind()
    {
        await using var host = await CreateAsync(LimitSpec.Slow with { QueueLimit = 10_000 });
        Assert.True((await host.Limiter.TryAcquireAsync(2, TestStop)).IsAcquired);
        using var leave = new CancellationTokenSource();
        var waiting = Enumerable.Range(0, 500).Select(_ => host.Limiter.AcquireAsync(3, leave.Token).AsTask()).ToArray();
        await WaitingAsync(host, 1500);

        await leave.CancelAsync();

        foreach (var task in waiting) await Assert.ThrowsAnyAsync<OperationCanceledException>(() => task);
        Assert.Equal(0, host.Limiter.GetStatistics()!.CurrentQueuedCount);
        Assert.Equal(500, host.Limiter.GetLedger().Cancelled);
        Assert.True((await host.Limiter.AcquireAsync(2, TestStop)).IsAcquired);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Acquire_CancelledWhileItIsDecided_LeavesNothingBehind()
    {
        await using var host = await CreateAsync(LimitSpec.Slow);
        Assert.True((await host.Limiter.TryAcquireAsync(2, TestStop)).IsAcquired);

        for (var i = 0; i < 200; i++)
        {
            using var leave = new CancellationTokenSource();
            var waiting = host.Limiter.AcquireAsync(3, leave.Token).AsTask();
            Thread.SpinWait(50 * i); // earlier and later on the way to the decision and back
            await leave.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        }

        Assert.True((await host.Limiter.TryAcquireAsync(2, TestStop)).IsAcquired);
    }
}
