using System.Diagnostics;
using System.Globalization;
using System.Net;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.RateLimiting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace DistributedPatterns.PatternCli.RateLimiting;

/// <summary>Asks for more than the limit from several callers at once, and compares what was admitted with what may be.</summary>
internal sealed class RateLimitingCommand : PatternCommand
{
    private const int Callers = 8;
    private static readonly TimeSpan s_length = TimeSpan.FromSeconds(3);

    // The defaults of Patterns:RateLimiting, which a gateway of this system has unless it is told otherwise.
    private static readonly RateLimitingOptions s_limit = new();

    public override string Name => "rate-limiting";

    public override string Inputs => "none";

    public override string Summary => "8 callers ask for 3 s by GCRA; admitted is compared with burst + rate x time";

    public override async Task<int> RunAsync(CommandContext context)
    {
        if (context.Input is not null) throw new BadUsageException("This pattern takes no --input.");
        var key = $"cli-{Guid.NewGuid():N}";
        await using var services = context.Variant == Variants.Channel ? Services() : null;
        using var client = context.Variant == Variants.Channel ? null : new GatewayClient(context.Gateway);
        Func<Task<bool>> ask = client is null
            ? () => AskHereAsync(services!.GetRequiredKeyedService<IRateLimiting>(Variants.Channel), key)
            : () => AskGatewayAsync(client, key);

        context.Output.WriteLine($"{Callers} callers, {s_limit.Permits} permits in {s_limit.Period.TotalSeconds:0.###} s, burst {s_limit.Burst}, {(client is null ? "in this process" : $"across processes, through {context.Gateway}")}");
        var since = Stopwatch.GetTimestamp();
        var counts = await Task.WhenAll(Enumerable.Range(0, Callers).Select(_ => Task.Run(() => CallAsync(ask, since))));
        var elapsed = Stopwatch.GetElapsedTime(since);

        var (requests, admitted) = (counts.Sum(count => count.Requests), counts.Sum(count => count.Admitted));
        // From before the first request to after the last one: never less than what the limiter's own clock saw.
        var bound = s_limit.Burst + (long)Math.Floor(elapsed / s_limit.Period * s_limit.Permits);
        context.Output.WriteLine();
        context.Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{requests:N0} requests in {elapsed.TotalSeconds:F3} s = admitted {admitted:N0} + denied {requests - admitted:N0}"));
        context.Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"bound {bound:N0} = burst {s_limit.Burst} + rate x time; over it {Math.Max(0, admitted - bound):N0}"));
        if (admitted <= bound && admitted >= s_limit.Burst) return CommandLine.Done;
        context.Error.WriteLine("That is not what the limit promises. Has the gateway other settings in Patterns:RateLimiting?");
        return CommandLine.Failed;
    }

    private static ServiceProvider Services() => new ServiceCollection()
        .AddLogging()
        .AddSingleton<IConfiguration>(new ConfigurationBuilder().Build())
        .AddLocalRateLimiting()
        .BuildServiceProvider();

    private static async Task<(long Requests, long Admitted)> CallAsync(Func<Task<bool>> ask, long since)
    {
        var (requests, admitted) = (0L, 0L);
        while (Stopwatch.GetElapsedTime(since) < s_length)
        {
            requests++;
            if (await ask()) admitted++;
        }
        return (requests, admitted);
    }

    private static async Task<bool> AskHereAsync(IRateLimiting limits, string key)
    {
        using var lease = await limits.AcquireAsync(RateLimitAlgorithm.Gcra, key, 1, TimeSpan.Zero, CancellationToken.None);
        return lease.IsAcquired;
    }

    private static async Task<bool> AskGatewayAsync(GatewayClient client, string key)
    {
        using var response = await client.SendAsync(HttpMethod.Get, $"/api/rate-limiting/{Variants.Distributed}?algorithm=gcra&key={key}");
        if (response.StatusCode == HttpStatusCode.TooManyRequests) return false;
        await client.CheckAsync(response);
        return true;
    }
}
