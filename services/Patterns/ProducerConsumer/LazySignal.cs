namespace DistributedPatterns.ProducerConsumer;

/// <summary>A cancellation token that costs nothing until somebody asks for it.</summary>
internal struct LazySignal
{
    private CancellationTokenSource? _source;
    private int _fired;

    public bool HasFired => Volatile.Read(ref _fired) != 0;

    public CancellationToken Token
    {
        get
        {
            if (HasFired) return new CancellationToken(canceled: true);
            var source = LazyInitializer.EnsureInitialized(ref _source, static () => new CancellationTokenSource());
            // Fired between the two looks: nobody else will tell the new source.
            if (HasFired) source.Cancel();
            return source.Token;
        }
    }

    /// <summary>Fires once. The listeners run on other threads; what they throw comes with the task.</summary>
    public Task FireAsync()
    {
        // A full fence: either this sees the source, or whoever makes it sees that it has fired.
        if (Interlocked.Exchange(ref _fired, 1) != 0) return Task.CompletedTask;
        return Volatile.Read(ref _source)?.CancelAsync() ?? Task.CompletedTask;
    }
}
