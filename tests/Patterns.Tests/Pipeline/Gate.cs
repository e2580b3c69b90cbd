namespace DistributedPatterns.Tests.Pipeline;

/// <summary>A place where a pipeline's code waits until the test lets it go on, and where the test learns that it got there.</summary>
internal sealed class Gate
{
    private readonly TaskCompletionSource _reached = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _open = new(TaskCreationOptions.RunContinuationsAsynchronously);

    static Gate() => ThreadPool.SetMinThreads(32, 32); // Pass holds a pool thread, and others are needed to open it

    /// <summary>Completes when somebody has come to the gate.</summary>
    public Task Reached => _reached.Task;

    public void Open() => _open.TrySetResult();

    public async ValueTask PassAsync(CancellationToken cancellationToken)
    {
        _reached.TrySetResult();
        await _open.Task.WaitAsync(cancellationToken);
    }

    /// <summary>For code that cannot wait otherwise: a synchronous stage, a sink.</summary>
    public void Pass()
    {
        _reached.TrySetResult();
        _open.Task.Wait(TimeSpan.FromSeconds(60));
    }
}
