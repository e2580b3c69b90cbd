using System.Threading.Channels;

namespace DistributedPatterns.Pipeline.Engine;

/// <summary>The loops that carry chunks from channel to channel inside a process.</summary>
internal static class ChannelStages
{
    public static Task RunAsync<TIn, TOut>(
        Stage<TIn, TOut> stage, ChannelReader<Chunk<TIn>> input, ChannelWriter<Chunk<TOut>> output, RunScope scope) =>
        stage.Options.Degree == 1
            ? RunOneAsync(stage, input, output, scope)
            : new ParallelStage<TIn, TOut>(stage, input, output, scope).RunAsync();

    public static async Task FoldAsync<T, TState, TResult>(ChannelReader<Chunk<T>> input, SinkFold<T, TState, TResult> fold, RunScope scope)
    {
        while (await ReadAsync(input, fold.Meter, scope).ConfigureAwait(false) is { } chunk)
        {
            var since = scope.Time.GetTimestamp();
            fold.Add(chunk);
            fold.Meter.Busy(scope.Time.GetElapsedTime(since));
            chunk.Return();
        }
    }

    /// <summary>Reads the next chunk, or <see langword="null"/> when there will be none. Waiting counts as starved.</summary>
    public static async ValueTask<Chunk<T>?> ReadAsync<T>(ChannelReader<Chunk<T>> input, StageMeter meter, RunScope scope)
    {
        scope.Token.ThrowIfCancellationRequested();
        if (input.TryRead(out var ready)) return ready;
        var since = scope.Time.GetTimestamp();
        var more = await input.WaitToReadAsync(scope.Token).ConfigureAwait(false);
        meter.Starved(scope.Time.GetElapsedTime(since));
        return more && input.TryRead(out var chunk) ? chunk : more ? await ReadAsync(input, meter, scope).ConfigureAwait(false) : null;
    }

    /// <summary>Hands a chunk on. Waiting for room counts as blocked.</summary>
    /// <returns>How long it waited.</returns>
    public static async ValueTask<TimeSpan> WriteAsync<T>(ChannelWriter<Chunk<T>> output, Chunk<T> chunk, StageMeter meter, RunScope scope)
    {
        if (chunk.Count == 0)
        {
            chunk.Return();
            return TimeSpan.Zero;
        }
        if (output.TryWrite(chunk)) return TimeSpan.Zero;
        var since = scope.Time.GetTimestamp();
        await output.WriteAsync(chunk, scope.Token).ConfigureAwait(false);
        var waited = scope.Time.GetElapsedTime(since);
        meter.Blocked(waited);
        return waited;
    }

    private static async Task RunOneAsync<TIn, TOut>(
        Stage<TIn, TOut> stage, ChannelReader<Chunk<TIn>> input, ChannelWriter<Chunk<TOut>> output, RunScope scope)
    {
        var meter = scope.Stages[stage.Index];
        var sizer = new SliceSizer();
        var blocked = TimeSpan.Zero;
        Func<Chunk<TOut>, ValueTask> handOn = async part => blocked += await WriteAsync(output, part, meter, scope).ConfigureAwait(false);
        while (await ReadAsync(input, meter, scope).ConfigureAwait(false) is { } chunk)
        {
            for (var start = 0; start < chunk.Count;)
            {
                var slice = new Slice<TIn>(chunk, start, sizer.Next(chunk.Count - start));
                var since = scope.Time.GetTimestamp();
                blocked = TimeSpan.Zero;
                var result = await stage.ApplyAsync(slice, scope, handOn).ConfigureAwait(false);
                var took = scope.Time.GetElapsedTime(since) - blocked;
                meter.Busy(took);
                sizer.Observe(slice.Count, took);
                start += slice.Count;
                await WriteAsync(output, result, meter, scope).ConfigureAwait(false);
            }
            chunk.Return();
        }
    }
}
