namespace DistributedPatterns.Pipeline.Engine;

/// <summary>One run's sink: folds chunks into a state. One chunk at a time.</summary>
internal sealed class SinkFold<T, TState, TResult>(PipelineSink<T, TState, TResult> sink, RunScope scope)
{
    private readonly TState _state = sink.Seed();
    private long _done;

    public StageMeter Meter { get; } = scope.Stages[sink.Index];

    /// <summary>Gets how many items of the source are in the state.</summary>
    public long Done => Volatile.Read(ref _done);

    public void Add(Chunk<T> chunk)
    {
        var i = 0;
        try
        {
            var fold = sink.Fold;
            for (; i < chunk.Count; i++) fold(_state, chunk.Items[i]);
        }
        catch (Exception error)
        {
            throw new PipelineStageException(sink.Name, chunk.NumberOf(i), error.Message, error);
        }
        Meter.Passed(chunk.Count, chunk.Count);
        Volatile.Write(ref _done, _done + chunk.Span - chunk.Removed);
    }

    public TResult Finish()
    {
        try
        {
            return sink.Finish(_state);
        }
        catch (Exception error)
        {
            throw new PipelineStageException(sink.Name, null, error.Message, error);
        }
    }
}
