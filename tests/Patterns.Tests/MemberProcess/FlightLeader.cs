using DistributedPatterns.SingleFlight;

namespace DistributedPatterns.Tests.MemberProcess;

/// <summary>Leads a run that does not end, and says what becomes of it.</summary>
internal sealed class FlightLeader([FromKeyedServices("distributed")] ISingleFlight flights) : BackgroundService
{
    public static async ValueTask<string> RunAsync(string input, FlightContext context)
    {
        Console.WriteLine($"@leads {input} {context.Fence}");
        try
        {
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, context.Token);
        }
        finally
        {
            Console.WriteLine("@cancelled");
        }
        return "never";
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken) =>
        Console.WriteLine($"@got {(await flights.RunAsync<string, string>("text", "key", "leader's", cancellationToken: stoppingToken)).Value}");
}
