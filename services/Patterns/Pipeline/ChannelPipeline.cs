using System.Collections.Concurrent;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Pipeline;

/// <summary>Pipelines inside one process: a task a stage, a bounded channel between two, chunks of items on the channels.</summary>
/// <remarks>
/// A run is gone when the process ends. An item is handed to each stage once, or as often as the stage's
/// <see cref="StageOptions.MaxAttempts"/> says. Chunks adapt: while items keep coming they travel up to 256 at a time, but an
/// item that has nothing behind it goes on at once, alone.
/// </remarks>
public sealed class ChannelPipeline : IPipeline, IAsyncDisposable
{
    private readonly PipelineCatalog _catalog;
    private readonly ChannelPipelineOptions _options;
    private readonly TimeProvider _time;
    private readonly ConcurrentDictionary<string, ChannelPipelineRun> _runs = [];
    private readonly ConcurrentQueue<string> _ended = [];
    private int _open;

    public ChannelPipeline(PipelineCatalog catalog, IOptions<ChannelPipelineOptions> options, TimeProvider time)
    {
        _catalog = catalog;
        _options = options.Value;
        _time = time;
    }

    public Task<IPipelineRun> StartAsync(PipelineRequest request, CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var definition = _catalog.Get(request.Pipeline);
        definition.CheckInput(request.Input);
        var id = request.Id ?? _options.IdPrefix + Guid.NewGuid().ToString("N");
        if (_runs.TryGetValue(id, out var known)) return Task.FromResult<IPipelineRun>(known);
        if (Interlocked.Increment(ref _open) > _options.MaxRuns)
        {
            Interlocked.Decrement(ref _open);
            throw new PipelineFullException(_options.MaxRuns, _options.MaxRuns);
        }

        var created = new ChannelPipelineRun(id, definition, request.Input, _time);
        var run = _runs.GetOrAdd(id, created);
        if (run == created) run.Start(() => ForgetOldest(id));
        else Interlocked.Decrement(ref _open); // somebody else was quicker with this id
        return Task.FromResult<IPipelineRun>(run);
    }

    public ValueTask<IPipelineRun?> FindAsync(string runId, CancellationToken cancellationToken = default) =>
        new(_runs.GetValueOrDefault(runId));

    /// <summary>Aborts every open run and waits until their stages have stopped.</summary>
    public async ValueTask DisposeAsync()
    {
        var runs = _runs.Values; // a copy
        foreach (var run in runs) await run.StopAsync(PipelineStop.Abort).ConfigureAwait(false);
        foreach (var run in runs) await run.WaitAsync().ConfigureAwait(false);
    }

    private void ForgetOldest(string ended)
    {
        Interlocked.Decrement(ref _open);
        _ended.Enqueue(ended);
        while (_ended.Count > _options.KeepEnded && _ended.TryDequeue(out var oldest)) _runs.TryRemove(oldest, out _);
    }
}
