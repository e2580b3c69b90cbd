using DistributedPatterns.WorkerPool;

namespace DistributedPatterns.Tests.WorkerPool;

/// <summary>A variant with everything it needs to run, until disposed.</summary>
public sealed class WorkerPoolHost(IWorkerPool pool, Func<ValueTask> dispose, Action<TimeSpan>? passTime = null) : IAsyncDisposable
{
    private static readonly TimeSpan s_step = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan s_lookEvery = TimeSpan.FromMilliseconds(5);

    public IWorkerPool Pool { get; } = pool;

    /// <summary>Waits for what takes time: on a clock of the test's own by moving it on, else by waiting.</summary>
    public async Task<T> PassTimeUntilAsync<T>(Task<T> outcome)
    {
        while (passTime is not null && !outcome.IsCompleted)
        {
            passTime(s_step);
            await Task.WhenAny(outcome, Task.Delay(s_lookEvery, TimeProvider.System));
        }
        return await outcome;
    }

    /// <summary>Lets that much time pass for the pool.</summary>
    public Task PassTimeAsync(TimeSpan time)
    {
        if (passTime is null) return Task.Delay(time, TimeProvider.System, TestContext.Current.CancellationToken);
        passTime(time);
        return Task.CompletedTask;
    }

    /// <summary>Asks again until the answer is yes.</summary>
    /// <returns>The snapshot that it is yes for.</returns>
    public async Task<WorkerPoolSnapshot> UntilAsync(Func<WorkerPoolSnapshot, bool> condition)
    {
        WorkerPoolSnapshot? last = null;
        await Support.Eventually.TrueAsync(
            async () => condition(last = await Pool.GetSnapshotAsync(TestContext.Current.CancellationToken)), TimeSpan.FromSeconds(20), () => $"{last}");
        return last!;
    }

    public ValueTask DisposeAsync() => dispose();
}
