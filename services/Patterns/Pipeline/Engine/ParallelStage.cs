using System.Threading.Channels;

namespace DistributedPatterns.Pipeline.Engine;

/// <summary>A stage with several loops in one process. They take slices from one place, so a slow item holds up its own loop only.</summary>
internal sealed class ParallelStage<TIn, TOut>(
    Stage<TIn, TOut> stage, ChannelReader<Chunk<TIn>> input, ChannelWriter<Chunk<TOut>> output, RunScope scope)
{
    private readonly StageMeter _meter = scope.Stages[stage.Index];
    private readonly SemaphoreSlim _taking = new(1, 1);

    // In order: each slice gets its place in line when it is taken, and the emitter waits for the one in front. The bound on
    // places is the bound on results that wait for a slower one before them.
    private readonly Channel<Task<Part>>? _inOrder = stage.Options.Ordered
        ? Channel.CreateBounded<Task<Part>>(stage.Options.Degree * 2)
        : null;

    private Chunk<TIn>? _chunk;
    private int _start;
    private bool _ended;

    public async Task RunAsync()
    {
        var emitter = _inOrder is null ? Task.CompletedTask : EmitInOrderAsync(_inOrder.Reader);
        var loops = Enumerable.Range(0, stage.Options.Degree).Select(_ => Task.Run(LoopAsync)).ToArray();
        try
        {
            await Task.WhenAll(loops).ConfigureAwait(false);
        }
        finally
        {
            _inOrder?.Writer.TryComplete();
            await emitter.ConfigureAwait(false); // also after an error, for nobody may write once this has returned
        }
    }

    private async Task LoopAsync()
    {
        var sizer = new SliceSizer();
        var blocked = TimeSpan.Zero;
        TaskCompletionSource<Part>? place = null;
        Func<Chunk<TOut>, ValueTask> handOn = async part =>
        {
            if (place is null)
            {
                blocked += await ChannelStages.WriteAsync(output, part, _meter, scope).ConfigureAwait(false);
                return;
            }
            var rest = NewPlace();
            place.SetResult(new Part(part, rest.Task));
            place = rest;
        };
        try
        {
            while (await TakeAsync(sizer.Next(int.MaxValue)).ConfigureAwait(false) is (var slice, var taken))
            {
                place = taken;
                blocked = TimeSpan.Zero;
                var since = scope.Time.GetTimestamp();
                var result = await stage.ApplyAsync(slice, scope, handOn).ConfigureAwait(false);
                var took = scope.Time.GetElapsedTime(since) - blocked;
                _meter.Busy(took);
                sizer.Observe(slice.Count, took);
                if (place is null) await ChannelStages.WriteAsync(output, result, _meter, scope).ConfigureAwait(false);
                else place.SetResult(new Part(result, null));
            }
        }
        catch (Exception error) when (error is not OperationCanceledException || !scope.Token.IsCancellationRequested)
        {
            // At once, not when the other loops have ended: they may be waiting for something that only this stops.
            scope.Fail(error);
            throw;
        }
    }

    private async ValueTask<(Slice<TIn> Slice, TaskCompletionSource<Part>? Place)?> TakeAsync(int wanted)
    {
        await _taking.WaitAsync(scope.Token).ConfigureAwait(false);
        try
        {
            if (_ended) return null;
            if (_chunk is null || _start == _chunk.Count)
            {
                // The array of a finished chunk may still be read by other loops; it goes to the garbage collector, not to the pool.
                _chunk = await ChannelStages.ReadAsync(input, _meter, scope).ConfigureAwait(false);
                _start = 0;
                _ended = _chunk is null;
                if (_chunk is null) return null;
            }

            // Leave something for the other loops when little is here.
            var fair = Math.Max(1, (_chunk.Count - _start) / stage.Options.Degree);
            var slice = new Slice<TIn>(_chunk, _start, Math.Min(wanted, fair));
            _start += slice.Count;
            if (_inOrder is null) return (slice, null);

            var place = NewPlace();
            if (!_inOrder.Writer.TryWrite(place.Task)) await _inOrder.Writer.WriteAsync(place.Task, scope.Token).ConfigureAwait(false);
            return (slice, place);
        }
        finally
        {
            _taking.Release();
        }
    }

    private async Task EmitInOrderAsync(ChannelReader<Task<Part>> places)
    {
        await foreach (var place in places.ReadAllAsync(scope.Token).ConfigureAwait(false))
        {
            for (var next = place; next is not null;)
            {
                var part = await next.WaitAsync(scope.Token).ConfigureAwait(false);
                await ChannelStages.WriteAsync(output, part.Items, _meter, scope).ConfigureAwait(false);
                next = part.Rest;
            }
        }
    }

    private static TaskCompletionSource<Part> NewPlace() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Results of a slice, in order: all of it, or what was finished before an item that has to wait.</summary>
    private readonly record struct Part(Chunk<TOut> Items, Task<Part>? Rest);
}
