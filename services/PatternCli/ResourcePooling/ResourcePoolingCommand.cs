using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json.Serialization;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.ResourcePooling.Work;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace DistributedPatterns.PatternCli.ResourcePooling;

/// <summary>Lets many callers share a few database connections, and compares what the database counted with what they did.</summary>
internal sealed class ResourcePoolingCommand : PatternCommand
{
    private const int UsesEach = 10;
    private static readonly TimeSpan s_hold = TimeSpan.FromMilliseconds(2);
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(20);

    public override string Name => "resource-pooling";

    public override string Inputs => "none";

    public override string Summary => "many callers share 8 connections; the database's count of uses is compared with theirs";

    public override async Task<int> RunAsync(CommandContext context)
    {
        if (context.Input is not null) throw new BadUsageException("This pattern takes no --input.");
        await using var services = context.Variant == Variants.Channel ? Services() : null;
        using var client = context.Variant == Variants.Channel ? null : new GatewayClient(context.Gateway);
        var work = services?.GetRequiredKeyedService<IPooledWork>(Variants.Channel) ?? new GatewayPooledWork(client!);
        var callers = client is null ? 200 : 60;

        context.Output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{callers} callers, {UsesEach} uses of {s_hold.TotalMilliseconds:0.#} ms each, {(client is null ? "in this process" : $"across processes, through {context.Gateway}")}"));
        var before = (await work.GetStatsAsync()).Max(process => process.Uses);
        var uses = new ConcurrentBag<PooledUse>();
        var since = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, callers).Select(_ => Task.Run(async () =>
        {
            for (var i = 0; i < UsesEach; i++) uses.Add(await work.UseAsync(s_hold, s_limit));
        })));
        var elapsed = Stopwatch.GetElapsedTime(since);
        var processes = await work.GetStatsAsync();

        var waits = uses.Select(use => use.WaitedMs).Order().ToArray();
        context.Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{uses.Count:N0} uses in {elapsed.TotalSeconds:F3} s; waited p50 {At(0.5):F1} ms, p99 {At(0.99):F1} ms, p99.9 {At(0.999):F1} ms, longest {waits[^1]:F1} ms"));
        foreach (var process in processes)
        {
            var (ledger, counts) = (process.Pool.Ledger, process.Pool.Counts);
            context.Output.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"  {process.Process,-32} lent {ledger.Acquired,7:N0} = returned {ledger.Returned:N0} + active {ledger.Active}; opened {ledger.Opened} = open {ledger.Open} + closed {ledger.Closed}; {counts}"));
        }
        if (processes[0].Pool.Permits is { } permits)
            context.Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  permits {permits.Limit}: granted {permits.Granted:N0} = held {permits.Held} + released {permits.Released:N0} + expired {permits.Expired:N0}"));
        var counted = processes.Max(process => process.Uses) - before;
        context.Output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"the database counted {counted:N0}"));
        if (AddsUp()) return CommandLine.Done;
        context.Error.WriteLine("That is not what the callers did. Does somebody else use the pool at the same time?");
        return CommandLine.Failed;

        double At(double quantile) => waits[(int)(quantile * (waits.Length - 1))];

        bool AddsUp() => counted == uses.Count
            && processes.All(process => process.Pool.Ledger is var ledger && ledger.Acquired == ledger.Returned + ledger.Active && ledger.Opened == ledger.Open + ledger.Closed)
            && (processes[0].Pool.Permits is { } permits
                ? permits.Granted == permits.Held + permits.Released + permits.Expired && permits.Held <= permits.Limit
                : processes.All(process => process.Pool.Ledger.Open <= process.Pool.Counts.Capacity));
    }

    private static ServiceProvider Services() => new ServiceCollection()
        .AddLogging()
        .AddSingleton<IConfiguration>(new ConfigurationBuilder().AddEnvironmentVariables().Build())
        .AddLocalPooledWork(options => options.LeakLimit = null)
        .BuildServiceProvider();

    private sealed class GatewayPooledWork(GatewayClient client) : IPooledWork
    {
        private const string Path = $"/api/resource-pooling/{Variants.Distributed}";

        public async ValueTask<PooledUse> UseAsync(TimeSpan hold, TimeSpan limit, CancellationToken cancellationToken = default)
        {
            using var response = await client.SendAsync(HttpMethod.Get, string.Create(CultureInfo.InvariantCulture, $"{Path}/?hold={(int)hold.TotalMilliseconds}ms&timeout={(int)limit.TotalSeconds}s"));
            await client.CheckAsync(response);
            return await response.Content.ReadFromJsonAsync(ResourcePoolingCliJson.Default.PooledUse, cancellationToken) ?? throw client.NoGateway("it gave no result");
        }

        public ValueTask<PooledUse> LeakAsync(TimeSpan length, CancellationToken cancellationToken = default) => throw new NotSupportedException();

        public async ValueTask<IReadOnlyList<ProcessPool>> GetStatsAsync(CancellationToken cancellationToken = default)
        {
            using var response = await client.SendAsync(HttpMethod.Get, $"{Path}/stats");
            await client.CheckAsync(response);
            var stats = await response.Content.ReadFromJsonAsync(ResourcePoolingCliJson.Default.PoolingStats, cancellationToken);
            return stats is { Processes.Count: > 0 } ? stats.Processes : throw new RunUnavailableException("No worker answers: nobody has a pool.");
        }
    }
}

/// <summary>What the gateway says of the pools.</summary>
internal sealed record PoolingStats(IReadOnlyList<ProcessPool> Processes);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(PooledUse))]
[JsonSerializable(typeof(PoolingStats))]
internal sealed partial class ResourcePoolingCliJson : JsonSerializerContext;
