namespace DistributedPatterns.Tests.Faults;

/// <summary>Clients of one pattern that go on while something is broken, and then check that everything came out right.</summary>
internal abstract class PatternLoad(PatientClient client)
{
    private int _done;

    /// <summary>Gets how much is done; a fault waits for the first of it, so that it comes in the middle.</summary>
    public int Done => Volatile.Read(ref _done);

    protected PatientClient Client => client;

    /// <summary>Runs until the fault is over and everything is done.</summary>
    /// <param name="over">Completes when the fault is over.</param>
    public abstract Task RunAsync(Task over, CancellationToken cancellationToken);

    /// <summary>Checks the outcome.</summary>
    /// <param name="fault">What was broken.</param>
    public abstract Task CheckAsync(string fault, CancellationToken cancellationToken);

    protected void Count() => Interlocked.Increment(ref _done);

    protected static Task PauseAsync(int milliseconds, CancellationToken cancellationToken) =>
        Task.Delay(TimeSpan.FromMilliseconds(milliseconds), TimeProvider.System, cancellationToken);

    /// <summary>Runs so many clients at the same time.</summary>
    protected static Task Clients(int count, Func<int, Task> run) => Task.WhenAll(Enumerable.Range(0, count).Select(run));
}
