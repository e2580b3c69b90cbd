namespace DistributedPatterns.Pipeline.Engine;

/// <summary>What the stages of one run share: one token, one first error, the counts and the diverted items.</summary>
internal sealed class RunScope : IDisposable
{
    private readonly CancellationTokenSource _cancel;
    private readonly CancellationTokenSource _stopReading;
    private readonly SortedList<long, DivertedItem> _diverted = [];
    private Exception? _error;
    private long _readLimit = long.MaxValue;

    public RunScope(PipelineDefinition definition, TimeProvider time, CancellationToken cancellationToken = default)
    {
        Definition = definition;
        Time = time;
        Stages = [.. definition.StageNames.Select(name => new StageMeter(name))];
        _cancel = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        _stopReading = CancellationTokenSource.CreateLinkedTokenSource(_cancel.Token);
        Token = _cancel.Token;
        SourceToken = _stopReading.Token;
    }

    public PipelineDefinition Definition { get; }

    public TimeProvider Time { get; }

    /// <summary>Gets the source's meter, then the stages', then the sink's.</summary>
    public StageMeter[] Stages { get; }

    /// <summary>Gets the token of all stages: cancelled on abort and by the first error.</summary>
    public CancellationToken Token { get; }

    /// <summary>Gets the token of the source alone, cancelled on drain as well.</summary>
    public CancellationToken SourceToken { get; }

    /// <summary>Gets the first real error, which stopped everything else.</summary>
    public Exception? Error => Volatile.Read(ref _error);

    /// <summary>Gets how many items may be read in all.</summary>
    public long ReadLimit => Interlocked.Read(ref _readLimit);

    public void StopReading() => Cancel(_stopReading);

    /// <summary>Lets the source be read up to so many items and no further: what an attempt had read that was lost.</summary>
    public void StopReadingAfter(long items)
    {
        Interlocked.Exchange(ref _readLimit, items);
        if (Stages[0].Read().Out >= items) StopReading();
    }

    public void Cancel() => Cancel(_cancel);

    public void Fail(Exception error)
    {
        if (Interlocked.CompareExchange(ref _error, error, null) is null) Cancel();
    }

    public void Divert(DivertedItem item)
    {
        // The first of the source, not the first to arrive: chunks come back from several workers in any order.
        lock (_diverted)
        {
            _diverted[item.Number] = item;
            if (_diverted.Count > PipelineStatus.MaxDivertedShown) _diverted.RemoveAt(_diverted.Count - 1);
        }
    }

    /// <summary>Reads the diverted items kept so far, in the source's order.</summary>
    public IReadOnlyList<DivertedItem> ReadDiverted()
    {
        lock (_diverted) return [.. _diverted.Values];
    }

    private static void Cancel(CancellationTokenSource source)
    {
        try
        {
            source.Cancel();
        }
        catch (AggregateException)
        {
            // A stage's own callback threw. The token is cancelled all the same, and the run has to end.
        }
        catch (ObjectDisposedException)
        {
            // It has ended: a wish to stop came while its end was being stored.
        }
    }

    public void Dispose()
    {
        _stopReading.Dispose();
        _cancel.Dispose();
    }
}
