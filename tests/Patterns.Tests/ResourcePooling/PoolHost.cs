using DistributedPatterns.ResourcePooling;
using DistributedPatterns.Tests.Support;

namespace DistributedPatterns.Tests.ResourcePooling;

/// <summary>A variant with everything it needs to run, until disposed.</summary>
internal sealed class PoolHost(IResourcePool<TestResource> pool, Func<TimeSpan, Task> pass, Func<ValueTask>? dispose = null) : IAsyncDisposable
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(30);

    public IResourcePool<TestResource> Pool => pool;

    public ValueTask<PooledResource<TestResource>> AcquireAsync(TimeSpan? limit = null) => pool.AcquireAsync(limit ?? TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken);

    public ValueTask<PoolStats> StatsAsync() => pool.GetStatsAsync(TestContext.Current.CancellationToken);

    /// <summary>Lets time go by: on a clock of the test's own, or really.</summary>
    public Task PassAsync(TimeSpan time) => pass(time);

    /// <summary>Waits until so many are in line, here or in Redis.</summary>
    public Task WaitingAsync(int count) => UntilAsync(stats => (stats.Permits?.Waiting ?? 0) + stats.Counts.Waiting == count);

    /// <summary>Asks again until the answer is yes, while some time goes by.</summary>
    public async Task<PoolStats> UntilAsync(Func<PoolStats, bool> condition, TimeSpan step = default)
    {
        PoolStats? last = null;
        await Eventually.TrueAsync(
            async () =>
            {
                if (step > TimeSpan.Zero) await pass(step);
                return condition(last = await StatsAsync());
            }, s_limit, () => $"{last}");
        return last!;
    }

    /// <summary>Checks that nothing was lost in silence.</summary>
    public async Task<PoolStats> AssertAddsUpAsync(TestResources resources)
    {
        // What is being closed counts as closed before it is.
        var stats = await UntilAsync(now => (resources.Opened, resources.Open) == (now.Ledger.Opened, now.Ledger.Open));
        Assert.Equal(stats.Ledger.Acquired, stats.Ledger.Returned + stats.Ledger.Active);
        Assert.Equal(stats.Ledger.Opened, stats.Ledger.Open + stats.Ledger.Closed);
        if (stats.Permits is { } permits) Assert.Equal(permits.Granted, permits.Held + permits.Released + permits.Expired);
        return stats;
    }

    public async ValueTask DisposeAsync()
    {
        await pool.DisposeAsync();
        if (dispose is not null) await dispose();
    }
}
