using DistributedPatterns.Benchmarks.Harness;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.FanOutFanIn;
using DistributedPatterns.Payloads;
using Microsoft.Extensions.DependencyInjection;

namespace DistributedPatterns.Benchmarks.FanOutFanIn;

/// <summary><see cref="GrpcScatterGather"/> with workers in processes of their own, through its public contract.</summary>
internal sealed class OurGrpcScatterGather(string name, Items items, GatherOrder order, SharedServices shared) : ThroughputContender(name, items.Count)
{
    private IScatterGather? _scatter;

    public override async Task<string?> SetUpAsync()
    {
        _scatter = (await shared.StartAsync()).Here.GetRequiredKeyedService<IScatterGather>(Variants.Distributed);
        return null;
    }

    public override async Task<TimeSpan?> RunAsync(int operations)
    {
        var turns = items.Work.Turns;
        var inputs = Array.ConvertAll(items.Inputs(operations), item => new TurnsItem(item, turns));
        var sum = 0L;
        var since = System.Diagnostics.Stopwatch.GetTimestamp();
        var options = new ScatterOptions<TurnsItem> { Degree = Items.Workers, Order = order };
        await foreach (var result in _scatter!.Scatter<TurnsItem, long>(RemoteTurns.Branch, inputs, options)) sum += result.Value;
        var took = System.Diagnostics.Stopwatch.GetElapsedTime(since);
        items.Check(sum, operations);
        return took;
    }

    public override ValueTask TearDownAsync() => shared.StopAsync();
}

/// <summary>The branch that all processes know.</summary>
internal static class RemoteTurns
{
    public const string Role = "branch-worker";
    public const string Branch = "turns";

    public static IServiceCollection AddTurns(this IServiceCollection services) => services.AddBranch(
        Branch, PayloadCodec.Packed<TurnsItem>(), PayloadCodec.Packed<long>(), static (item, _) => new(Work.Do(item.Number, item.Turns)));
}

/// <summary>An item, with how much work it is: a worker that measured that itself would do another amount.</summary>
internal readonly record struct TurnsItem(int Number, int Turns);
