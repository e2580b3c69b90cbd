using DistributedPatterns.Benchmarks.Harness;
using DistributedPatterns.Supervision;
using Microsoft.Extensions.Options;
using Polly;
using Polly.Retry;

namespace DistributedPatterns.Benchmarks.Supervision;

/// <summary>Something that throws so many times and then goes well; it must have run once more than that.</summary>
internal abstract class Restarts(string name, int operations) : ThroughputContender(name, operations)
{
    private static readonly InvalidOperationException s_error = new("again");

    private int _left;
    private int _runs;

    public override async Task<TimeSpan?> RunAsync(int operations)
    {
        (_left, _runs) = (operations, 0);
        await UntilItGoesWellAsync();
        return _runs == operations + 1 ? null : throw new InvalidOperationException($"{Name}: {_runs} runs for {operations} failures.");
    }

    protected abstract Task UntilItGoesWellAsync();

    /// <summary>Throws as a task of its own does: not before its first await.</summary>
    protected async Task WorkAsync()
    {
        await Task.Yield();
        _runs++;
        if (_left-- > 0) throw s_error;
    }
}

internal sealed class OurRestarts(string name, int operations) : Restarts(name, operations)
{
    protected override async Task UntilItGoesWellAsync()
    {
        var options = new TaskSupervisorOptions { MaxRestarts = int.MaxValue, Within = TimeSpan.FromMilliseconds(100), FirstPause = TimeSpan.Zero };
        using var done = new CancellationTokenSource();
        var child = new ChildDefinition("child", async (_, _) =>
        {
            await WorkAsync();
            await done.CancelAsync();
        }, new ChildOptions { Restart = ChildRestart.Transient });
        await new TaskSupervisor(new ChildCatalog([child]), Options.Create(options), TimeProvider.System).RunAsync(done.Token);
    }
}

internal sealed class PollyRetry(string name, int operations) : Restarts(name, operations)
{
    private readonly ResiliencePipeline _retry = new ResiliencePipelineBuilder()
        .AddRetry(new RetryStrategyOptions { MaxRetryAttempts = int.MaxValue, Delay = TimeSpan.Zero }).Build();

    protected override Task UntilItGoesWellAsync() => _retry.ExecuteAsync(async _ => await WorkAsync()).AsTask();
}

internal sealed class BareLoop(string name, int operations) : Restarts(name, operations)
{
    protected override async Task UntilItGoesWellAsync()
    {
        while (true)
        {
            try
            {
                await WorkAsync();
                return;
            }
            catch (InvalidOperationException)
            {
                // And again, for ever, as fast as it can: what supervision is there to prevent.
            }
        }
    }
}

/// <summary>One child that gives signs of life as fast as it can.</summary>
internal sealed class Beats(string name, int operations) : ThroughputContender(name, operations)
{
    public override async Task<TimeSpan?> RunAsync(int operations)
    {
        var took = TimeSpan.Zero;
        using var done = new CancellationTokenSource();
        var child = new ChildDefinition("child", async (context, _) =>
        {
            context.Beat();
            var since = TimeProvider.System.GetTimestamp();
            for (var i = 0; i < operations; i++) context.Beat();
            took = TimeProvider.System.GetElapsedTime(since);
            await done.CancelAsync();
        }, new ChildOptions { HeartbeatLimit = TimeSpan.FromMinutes(1) });
        await new TaskSupervisor(new ChildCatalog([child]), Options.Create(new TaskSupervisorOptions()), TimeProvider.System).RunAsync(done.Token);
        return took;
    }
}

internal sealed class ClockReads(string name, int operations) : ThroughputContender(name, operations)
{
    public override Task<TimeSpan?> RunAsync(int operations)
    {
        var last = 0L;
        var since = TimeProvider.System.GetTimestamp();
        for (var i = 0; i < operations; i++) last = TimeProvider.System.GetTimestamp();
        return last >= since ? Task.FromResult<TimeSpan?>(TimeProvider.System.GetElapsedTime(since)) : throw new InvalidOperationException("The clock went back.");
    }
}
