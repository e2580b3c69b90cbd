using System.Diagnostics;
using System.Runtime.CompilerServices;
using DistributedPatterns.ResourcePooling.Engine;
using Microsoft.Extensions.Logging;

namespace DistributedPatterns.ResourcePooling;

/// <summary>The pool of one process.</summary>
/// <remarks>
/// While nobody waits, lending and taking back are one compare-and-swap each on one of the pool's slots, without a lock and without an allocation.
/// Once somebody waits, everybody lines up, and what comes back goes to the first in line. A caller opens its resource itself, outside any lock; what
/// it has taken by then is the slot, so a resource that cannot be opened costs no capacity.
/// <para>Time is looked at in rounds (four in the shortest limit), not with each loan: a clock read costs more than a loan.</para>
/// </remarks>
public sealed partial class ChannelResourcePool<T> : IResourcePool<T> where T : class
{
    private readonly ResourceSlot<T>[] _slots;
    private readonly IResourceFactory<T> _factory;
    private readonly ResourcePoolOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly SemaphoreSlim _opening;
    private readonly IPermitSource<T>? _permits;
    private readonly PoolTelemetry _telemetry;
    private readonly bool _isWatched; // each loan has its borrower's stack
    private readonly bool _isPlain; // giving back is a single step while nothing speaks against it
    private int _generation;

    /// <param name="name">What it is called in messages and metrics.</param>
    /// <param name="factory">Opens and closes. Not disposed here.</param>
    public ChannelResourcePool(string name, IResourceFactory<T> factory, ResourcePoolOptions options, TimeProvider time, ILogger<ChannelResourcePool<T>> logger)
        : this(name, factory, options, time, logger, permits: null)
    {
    }

    internal ChannelResourcePool(string name, IResourceFactory<T> factory, ResourcePoolOptions options, TimeProvider time, ILogger logger, IPermitSource<T>? permits)
    {
        (Name, _factory, _options, _time, _logger, _permits) = (name, factory, options, time, logger, permits);
        _slots = [.. Enumerable.Range(0, options.Capacity).Select(number => new ResourceSlot<T>(number))];
        _opening = new SemaphoreSlim(options.MaxOpening);
        _isWatched = options.LeakLimit is not null;
        _isPlain = !options.ResetOnReturn && !_isWatched;
        _telemetry = new PoolTelemetry(name, permits is null ? Diagnostics.Variants.Channel : Diagnostics.Variants.Distributed, () => Counts);
    }

    public string Name { get; }

    private PoolCounts Counts
    {
        get
        {
            var (active, idle, cared) = (0, 0, 0);
            foreach (var slot in _slots)
            {
                var version = slot.Version;
                if (ResourceSlot<T>.IsLent(version)) active++;
                else if (ResourceSlot<T>.IsCared(version)) cared++;
                else if (slot.Resource is not null) idle++;
            }
            return new PoolCounts(_slots.Length, active, idle, cared, Waiting);
        }
    }

    /// <inheritdoc/>
    public ValueTask<PooledResource<T>> AcquireAsync(TimeSpan? limit = null, CancellationToken cancellationToken = default)
    {
        if (!IsGateOpen || cancellationToken.IsCancellationRequested || FindFree() is not { } slot || !slot.TryLend(out var version))
            return AcquireInLineAsync(limit, cancellationToken);
        if (slot.Resource is not null && slot.IsSound && slot.Generation == Volatile.Read(ref _generation) && !_isWatched)
            return new(new PooledResource<T>(this, slot, version));
        slot.Unlend(version);
        return PrepareAsync(slot, limit, _time.GetTimestamp(), BorrowerOf(), cancellationToken);
    }

    /// <inheritdoc/>
    public async ValueTask ClearAsync(CancellationToken cancellationToken = default)
    {
        if (_permits is null) await ClearHereAsync().ConfigureAwait(false);
        else await _permits.ClearAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async ValueTask<PoolStats> GetStatsAsync(CancellationToken cancellationToken = default)
    {
        var permits = _permits is null ? null : await _permits.GetStatsAsync(cancellationToken).ConfigureAwait(false);
        var (acquired, active) = (0L, 0L);
        foreach (var slot in _slots)
        {
            var (loans, version) = slot.Read();
            acquired += loans;
            if (ResourceSlot<T>.IsLent(version)) active++;
        }
        var (opened, open) = Resources;
        return new PoolStats(
            Name, Counts, new PoolLedger(acquired, acquired - active, active, opened, open, opened - open),
            new PoolCounters(Volatile.Read(ref _exhausted), Volatile.Read(ref _cancelled), Volatile.Read(ref _openFailed), Volatile.Read(ref _staleReturns), Volatile.Read(ref _leaksReported), ClosedBecause),
            permits, Leaks());
    }

    /// <summary>Takes a loan back.</summary>
    internal ValueTask ReturnAsync(ResourceSlot<T> slot, long version)
    {
        if (_isPlain && slot.IsSound && slot.Generation == Volatile.Read(ref _generation) && (IsGateOpen || (_permits is null && !IsClosed)))
        {
            if (slot.TryFree(version)) ServeIfNeeded();
            else Interlocked.Increment(ref _staleReturns);
            return default;
        }
        if (slot.TryTakeBack(version)) return TakeBackAsync(slot);
        Interlocked.Increment(ref _staleReturns);
        return default;
    }

    /// <summary>Finds a free slot, an open resource in it if there is one. It may be gone by the time it is taken.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private ResourceSlot<T>? FindFree()
    {
        var slots = _slots;
        // Each thread begins elsewhere: two that begin at the same slot pull its cache line to and fro.
        var start = (int)(((ulong)((uint)Environment.CurrentManagedThreadId * 2_654_435_769u) * (uint)slots.Length) >> 32);
        ResourceSlot<T>? empty = null;
        for (var i = 0; i < slots.Length; i++)
        {
            var place = start + i;
            var slot = slots[place < slots.Length ? place : place - slots.Length];
            if (!slot.IsFree) continue;
            if (slot.Resource is not null) return slot;
            empty ??= slot;
        }
        return empty;
    }

    private Borrower? BorrowerOf() => !_isWatched ? null : new Borrower(new StackTrace(2, fNeedFileInfo: false).ToString(), Activity.Current?.TraceId.ToString());

    /// <summary>Makes ready what was taken for a caller, and lends it.</summary>
    private async ValueTask<PooledResource<T>> PrepareAsync(ResourceSlot<T> slot, TimeSpan? limit, long since, Borrower? borrower, CancellationToken cancellationToken)
    {
        try
        {
            if (slot.Resource is not null && await WhyNotAsync(slot, cancellationToken).ConfigureAwait(false) is { } reason)
            {
                await CloseAsync(slot, reason).ConfigureAwait(false);
                if (slot.Permit is { IsLost: true }) slot.Permit = null;
            }
            var most = limit ?? _options.AcquireLimit;
            if (slot.Resource is null && !await TryOpenAsync(slot, most - _time.GetElapsedTime(since), cancellationToken).ConfigureAwait(false)) throw Exhausted(most, selfWaits: false);
        }
        catch (Exception error)
        {
            await GiveUpAsync(slot).ConfigureAwait(false);
            if (error is OperationCanceledException) Interlocked.Increment(ref _cancelled);
            throw;
        }
        slot.Borrower = borrower;
        return new PooledResource<T>(this, slot, slot.Lend());
    }

    /// <returns>False when there was no permit within the limit.</returns>
    private async ValueTask<bool> TryOpenAsync(ResourceSlot<T> slot, TimeSpan limit, CancellationToken cancellationToken)
    {
        if (_permits is not null && slot.Permit is null)
        {
            var since = _time.GetTimestamp();
            if (await _permits.AcquireAsync(limit > TimeSpan.Zero ? limit : TimeSpan.Zero, cancellationToken).ConfigureAwait(false) is not { } grant) return false;
            _telemetry.Waited(_time.GetElapsedTime(since));
            slot.Permit = grant.Permit;
            if (grant.Resource is not null)
            {
                slot.Put(grant.Resource);
                return true;
            }
        }
        // The generation first: cleared while it is being opened, it is one of before.
        var generation = Volatile.Read(ref _generation);
        var permit = slot.PermitOf(slot.Version);
        var begun = _time.GetTimestamp();
        var resource = await OpenWithinLimitAsync(permit, cancellationToken).ConfigureAwait(false);
        _telemetry.Opened(_time.GetElapsedTime(begun));
        Interlocked.Increment(ref _opened);
        slot.Put(new OpenResource<T>(resource, generation, _time.GetTimestamp(), _options.MaxLifetime * (1 - (_options.LifetimeJitter * Random.Shared.NextDouble()))));
        KeepRound();
        return true;
    }

    private async ValueTask<T> OpenWithinLimitAsync(ResourcePermit permit, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(_options.OpenLimit, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            await _opening.WaitAsync(either.Token).ConfigureAwait(false);
            try
            {
                return await _factory.OpenAsync(permit, either.Token).ConfigureAwait(false);
            }
            finally
            {
                _opening.Release();
            }
        }
        catch (Exception error) when (!cancellationToken.IsCancellationRequested)
        {
            Interlocked.Increment(ref _openFailed);
            throw new ResourceOpenException(Name, limit.IsCancellationRequested ? $"it took longer than {_options.OpenLimit} (OpenLimit)." : error.Message, error);
        }
        catch (OperationCanceledException)
        {
            cancellationToken.ThrowIfCancellationRequested(); // with the caller's token, not the linked one
            throw;
        }
    }

    /// <summary>Says why an open resource may not be lent, or nothing when it may.</summary>
    private async ValueTask<CloseReason?> WhyNotAsync(ResourceSlot<T> slot, CancellationToken cancellationToken)
    {
        slot.Remove(Doubts.Unneeded);
        if (slot.Has(Doubts.Lost) || slot.Permit is { IsLost: true }) return CloseReason.Lost; // its borrower may have heard before the pool
        if (slot.Has(Doubts.Broken)) return CloseReason.Broken;
        if (slot.Generation != Volatile.Read(ref _generation)) return CloseReason.Cleared;
        if (slot.Has(Doubts.Expired)) return CloseReason.Expired;
        if (!slot.Has(Doubts.Unchecked)) return null;
        if (!await SucceedsAsync(slot.Resource!, "check", (factory, resource, token) => factory.CheckAsync(resource, token), cancellationToken).ConfigureAwait(false)) return CloseReason.Unusable;
        slot.Remove(Doubts.Unchecked);
        return null;
    }

    /// <summary>Resets what came back, closes what cannot stay, and lets the next one have the place.</summary>
    private async ValueTask TakeBackAsync(ResourceSlot<T> slot)
    {
        slot.Borrower = null;
        slot.Remove(Doubts.Unchecked);
        var reason = IsClosed ? CloseReason.Stopped : await WhyNotAsync(slot, CancellationToken.None).ConfigureAwait(false);
        if (reason is null && _options.ResetOnReturn)
        {
            var isReset = await SucceedsAsync(slot.Resource!, "reset", async (factory, resource, token) =>
            {
                await factory.ResetAsync(resource, token).ConfigureAwait(false);
                return true;
            }, CancellationToken.None).ConfigureAwait(false);
            if (!isReset) reason = CloseReason.Broken;
        }
        await ReleaseAsync(slot, reason).ConfigureAwait(false);
    }

    /// <summary>Frees a slot that the pool has; its resource stays unless there is a reason against it, or somebody elsewhere has waited for longer.</summary>
    private async ValueTask ReleaseAsync(ResourceSlot<T> slot, CloseReason? reason)
    {
        try
        {
            if (reason is null && slot.Resource is not null && slot.Permit is { } permit && !IsGateOpen && await _permits!.PassAsync(slot).ConfigureAwait(false) == Turn.Elsewhere)
                reason = permit.IsLost ? CloseReason.Lost : CloseReason.HandedOn;
            if (reason is { } why) await CloseAsync(slot, why).ConfigureAwait(false);
        }
        finally
        {
            await GiveUpAsync(slot).ConfigureAwait(false);
        }
    }

    /// <summary>Frees a slot; its permit goes back if nothing is open under it.</summary>
    private async ValueTask GiveUpAsync(ResourceSlot<T> slot)
    {
        if (slot.Resource is null && slot.Permit is { } permit)
        {
            slot.Permit = null;
            if (!permit.IsLost) await _permits!.ReleaseAsync(permit).ConfigureAwait(false);
        }
        slot.Free();
        ServeIfNeeded();
    }

    private async ValueTask CloseAsync(ResourceSlot<T> slot, CloseReason reason)
    {
        var resource = slot.Empty().Value;
        Interlocked.Increment(ref _closed[(int)reason]);
        _telemetry.Closed(reason);
        try
        {
            await _factory.CloseAsync(resource).ConfigureAwait(false);
        }
        catch (Exception error)
        {
            LogNotClosed(Name, error); // it is no longer the pool's either way
        }
    }

    private async ValueTask<bool> SucceedsAsync(T resource, string what, Func<IResourceFactory<T>, T, CancellationToken, ValueTask<bool>> call, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(_options.OpenLimit, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            return await call(_factory, resource, either.Token).ConfigureAwait(false);
        }
        catch (Exception error) when (!cancellationToken.IsCancellationRequested)
        {
            LogNotSound(Name, what, error); // counted by the reason it is closed for
            return false;
        }
    }

    [LoggerMessage(LogLevel.Warning, "A resource of pool {Pool} could not be closed")]
    private partial void LogNotClosed(string pool, Exception error);

    [LoggerMessage(LogLevel.Debug, "A resource of pool {Pool} failed its {What} and is closed")]
    private partial void LogNotSound(string pool, string what, Exception error);
}
