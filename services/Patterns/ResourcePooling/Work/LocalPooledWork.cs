using System.Data.Common;

namespace DistributedPatterns.ResourcePooling.Work;

/// <summary>Uses the connections of this process's pool, whichever variant that is.</summary>
internal sealed class LocalPooledWork(IResourcePool<DbConnection> pool, DatabaseConnections database, string process, TimeProvider time) : IPooledWork, IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private readonly HashSet<Task> _leaks = [];
    private long _fenced;

    public async ValueTask<PooledUse> UseAsync(TimeSpan hold, TimeSpan limit, CancellationToken cancellationToken = default)
    {
        var since = time.GetTimestamp();
        var loan = await pool.AcquireAsync(limit, cancellationToken).ConfigureAwait(false);
        await using var _ = loan.ConfigureAwait(false);
        var waited = time.GetElapsedTime(since);
        if (waited + hold > limit)
        {
            await HoldAsync(limit - waited, loan.Lost, cancellationToken).ConfigureAwait(false);
            throw new UseTimeoutException(hold, limit, waited);
        }
        try
        {
            await HoldAsync(hold, loan.Lost, cancellationToken).ConfigureAwait(false);
            // Whether the permit is still ours is decided where it is written.
            await database.CountAsync(loan.Resource, loan.Permit, cancellationToken).ConfigureAwait(false);
        }
        catch (PermitFencedException)
        {
            Interlocked.Increment(ref _fenced);
            throw;
        }
        catch (DbException e)
        {
            loan.MarkBroken();
            throw new DatabaseFailedException(e);
        }
        return new PooledUse(process, loan.Permit.Number, loan.Permit.Token, waited.TotalMilliseconds, (time.GetElapsedTime(since) - waited).TotalMilliseconds);
    }

    public async ValueTask<PooledUse> LeakAsync(TimeSpan length, CancellationToken cancellationToken = default)
    {
        var since = time.GetTimestamp();
        var loan = await pool.AcquireAsync(null, cancellationToken).ConfigureAwait(false);
        var use = new PooledUse(process, loan.Permit.Number, loan.Permit.Token, time.GetElapsedTime(since).TotalMilliseconds, length.TotalMilliseconds);
        lock (_gate)
        {
            _leaks.RemoveWhere(leak => leak.IsCompleted);
            _leaks.Add(ReturnLaterAsync(loan, length));
        }
        return use;
    }

    public async ValueTask<IReadOnlyList<ProcessPool>> GetStatsAsync(CancellationToken cancellationToken = default)
    {
        var stats = await pool.GetStatsAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            return [new ProcessPool(process, await database.UsesAsync(cancellationToken).ConfigureAwait(false), Volatile.Read(ref _fenced), stats)];
        }
        catch (DbException e)
        {
            throw new DatabaseFailedException(e);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await Task.WhenAll(_leaks).ConfigureAwait(false);
        _stop.Dispose();
    }

    private async Task HoldAsync(TimeSpan length, CancellationToken lost, CancellationToken cancellationToken)
    {
        if (length <= TimeSpan.Zero) return;
        using var either = CancellationTokenSource.CreateLinkedTokenSource(lost, cancellationToken);
        try
        {
            await Task.Delay(length, time, either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // The permit is lost. Whether somebody else has it already, the fence says.
        }
        cancellationToken.ThrowIfCancellationRequested();
    }

    private async Task ReturnLaterAsync(PooledResource<DbConnection> loan, TimeSpan length)
    {
        await using var _ = loan.ConfigureAwait(false);
        await Task.Delay(length, time, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }
}
