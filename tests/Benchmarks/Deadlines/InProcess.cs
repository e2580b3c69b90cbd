using DistributedPatterns.Benchmarks.Harness;
using DistributedPatterns.Deadlines;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Polly;

namespace DistributedPatterns.Benchmarks.Deadlines;

/// <summary>Runs an operation under a second, of a caller whose token could be cancelled.</summary>
internal abstract class UnderASecond(string name, int operations) : ThroughputContender(name, operations), IDisposable
{
    protected static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    protected CancellationTokenSource Caller { get; } = new();

    public void Dispose() => Caller.Dispose();

    public override async Task<TimeSpan?> RunAsync(int operations)
    {
        var done = 0;
        for (var i = 0; i < operations; i++) done += await OnceAsync();
        if (done != operations) throw new InvalidOperationException($"{Name}: {done} of {operations} were done.");
        return null;
    }

    protected abstract ValueTask<int> OnceAsync();

    /// <summary>The operation: it needs its token to be one, and ends at once.</summary>
    protected static ValueTask<int> Work(CancellationToken token) => new(token.CanBeCanceled && !token.IsCancellationRequested ? 1 : 0);
}

internal sealed class OurRunner(string name, int operations) : UnderASecond(name, operations)
{
    private readonly DeadlineRunner _runner = new(Options.Create(new DeadlineOptions()), TimeProvider.System, NullLogger<DeadlineRunner>.Instance);

    public override ValueTask TearDownAsync() => _runner.DisposeAsync();

    protected override ValueTask<int> OnceAsync() => _runner.RunAsync(Second, 0, static (_, token) => Work(token), Caller.Token);
}

internal sealed class PollyTimeout(string name, int operations) : UnderASecond(name, operations)
{
    private readonly ResiliencePipeline _pipeline = new ResiliencePipelineBuilder().AddTimeout(Second).Build();

    protected override ValueTask<int> OnceAsync() => _pipeline.ExecuteAsync(static token => Work(token), Caller.Token);
}

internal sealed class LinkedSource(string name, int operations) : UnderASecond(name, operations)
{
    protected override async ValueTask<int> OnceAsync()
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Caller.Token);
        limit.CancelAfter(Second);
        return await Work(limit.Token);
    }
}

internal sealed class ResetSource(string name, int operations) : UnderASecond(name, operations)
{
    private readonly CancellationTokenSource _source = new();

    protected override async ValueTask<int> OnceAsync()
    {
        _source.CancelAfter(Second);
        var done = await Work(_source.Token);
        if (!_source.TryReset()) throw new InvalidOperationException("The token was cancelled.");
        return done;
    }
}
