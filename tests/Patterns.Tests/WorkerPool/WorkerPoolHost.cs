using DistributedPatterns.WorkerPool;

namespace DistributedPatterns.Tests.WorkerPool;

/// <summary>A variant with everything it needs to run, until disposed.</summary>
public sealed class WorkerPoolHost(IWorkerPool pool, Func<ValueTask> dispose, Action? passTime = null) : IAsyncDisposable
{
    private static readonly TimeSpan s_step = TimeSpan.FromMilliseconds(5);

    public IWorkerPool Pool { get; } = pool;

    /// <summary>Waits for what takes time: on a clock of the test's own by moving it on, else by waiting.</summary>
    public async Task<T> PassTimeUntilAsync<T>(Task<T> outcome)
    {
        while (passTime is not null && !outcome.IsCompleted)
        {
            passTime();
            await Task.WhenAny(outcome, Task.Delay(s_step, TimeProvider.System));
        }
        return await outcome;
    }

    /// <summary>Asks again until the answer is yes.</summary>
    public Task UntilAsync(Func<WorkerPoolSnapshot, bool> condition)
    {
        WorkerPoolSnapshot? last = null;
        return Support.Eventually.TrueAsync(
            async () => condition(last = await Pool.GetSnapshotAsync(TestContext.Current.CancellationToken)), TimeSpan.FromSeconds(20), () => $"{last}");
    }

    public ValueTask DisposeAsync() => dispose();
}
