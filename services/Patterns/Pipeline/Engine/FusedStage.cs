namespace DistributedPatterns.Pipeline.Engine;

/// <summary>Runs a stage on one whole chunk, as a worker does with a message: no channel between stages.</summary>
internal static class FusedStage
{
    public static async ValueTask<Chunk<TOut>> ApplyAsync<TIn, TOut>(Stage<TIn, TOut> stage, Chunk<TIn> chunk, RunScope scope)
    {
        var meter = scope.Stages[stage.Index];
        var since = scope.Time.GetTimestamp();
        var output = stage.Options.Degree == 1 || chunk.Count <= 1
            ? await stage.ApplyAsync(new Slice<TIn>(chunk), scope).ConfigureAwait(false)
            : await ApplyInParallelAsync(stage, chunk, scope).ConfigureAwait(false);
        meter.Busy(scope.Time.GetElapsedTime(since));
        chunk.Return();
        return output;
    }

    private static async ValueTask<Chunk<TOut>> ApplyInParallelAsync<TIn, TOut>(Stage<TIn, TOut> stage, Chunk<TIn> chunk, RunScope scope)
    {
        var next = 0;
        var parts = new Chunk<TOut>[chunk.Count];
        await Task.WhenAll(Enumerable.Range(0, Math.Min(stage.Options.Degree, chunk.Count)).Select(_ => Task.Run(async () =>
        {
            for (int i; (i = Interlocked.Increment(ref next) - 1) < chunk.Count;)
                parts[i] = await stage.ApplyAsync(new Slice<TIn>(chunk, i, 1), scope).ConfigureAwait(false);
        }))).ConfigureAwait(false);

        var output = new Slice<TIn>(chunk).NewOutput<TOut>();
        output.Removed = 0;
        for (var i = 0; i < parts.Length; i++)
        {
            if (parts[i].Count == 1) output.Add(parts[i].Items[0], chunk.OffsetOf(i));
            output.Removed += parts[i].Removed;
            parts[i].Return();
        }
        return output;
    }
}
