using DistributedPatterns.ResourcePooling.Engine;
using Microsoft.Extensions.Logging;

namespace DistributedPatterns.ResourcePooling;

/// <content>The rounds that look after age, idleness and leaks; and what is counted.</content>
public sealed partial class ChannelResourcePool<T>
{
    private static readonly TimeSpan s_shortestRound = TimeSpan.FromMilliseconds(5);

    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _roundLock = new();
    private readonly long[] _closed = new long[Enum.GetValues<CloseReason>().Length];
    private Task? _rounds;
    private long _opened;
    private long _openFailed;
    private long _staleReturns;
    private long _leaksReported;

    // What was closed first: never more closed than opened.
    private (long Opened, long Open) Resources => _closed.Sum() is var closed && Volatile.Read(ref _opened) is var opened ? (opened, opened - closed) : default;

    private Dictionary<CloseReason, long> ClosedBecause =>
        Enum.GetValues<CloseReason>().Where(reason => _closed[(int)reason] > 0).ToDictionary(reason => reason, reason => Volatile.Read(ref _closed[(int)reason]));

    private TimeSpan RoundEvery
    {
        get
        {
            TimeSpan[] limits = [_options.IdleLimit, _options.MaxLifetime * (1 - _options.LifetimeJitter), _options.CheckAfter, _options.LeakLimit ?? TimeSpan.MaxValue];
            var round = limits.Min() / 4;
            return round > s_shortestRound ? round : s_shortestRound;
        }
    }

    /// <summary>Lets a resource be looked at again: those that it is true of are closed now, or when they come back.</summary>
    internal async Task DoubtAsync(Func<ResourceSlot<T>, bool> isMeant, Doubts doubt)
    {
        foreach (var slot in _slots)
        {
            if (slot.Resource is null || !isMeant(slot)) continue;
            slot.Add(doubt);
            await LookAfterAsync(slot).ConfigureAwait(false);
        }
    }

    /// <summary>Closes idle resources of generations before this one.</summary>
    internal async Task ClearHereAsync()
    {
        Interlocked.Increment(ref _generation);
        foreach (var slot in _slots) await LookAfterAsync(slot).ConfigureAwait(false);
    }

    /// <summary>Offers idle resources to those who wait elsewhere, or here for a permit.</summary>
    internal async Task OfferIdleAsync(int most)
    {
        foreach (var slot in _slots)
        {
            if (most <= 0) return;
            if (slot.Resource is null || !slot.TryCare()) continue;
            most--;
            await ReleaseAsync(slot, null).ConfigureAwait(false);
        }
    }

    private void KeepRound()
    {
        if (_rounds is not null) return;
        lock (_roundLock)
            if (!_stop.IsCancellationRequested) _rounds ??= Task.Run(() => GoRoundAsync(_stop.Token));
    }

    private async Task StopRoundAsync()
    {
        Task? rounds;
        lock (_roundLock)
        {
            _stop.Cancel();
            rounds = _rounds;
        }
        if (rounds is not null) await rounds.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private async Task GoRoundAsync(CancellationToken stop)
    {
        using var timer = new PeriodicTimer(RoundEvery, _time);
        do
        {
            var idle = _slots.Count(slot => slot.Resource is not null && slot.IsFree);
            foreach (var slot in _slots)
            {
                Look(slot, ref idle);
                await LookAfterAsync(slot).ConfigureAwait(false);
            }
            await FillUpAsync(stop).ConfigureAwait(false);
        }
        while (await timer.WaitForNextTickAsync(stop).ConfigureAwait(false));
    }

    /// <summary>Compares a slot with the last round: one whose version is the same has done nothing since.</summary>
    private void Look(ResourceSlot<T> slot, ref int idle)
    {
        var (version, now, opened) = (slot.Version, _time.GetTimestamp(), slot.Opened);
        if (slot.Seen.Version != version) slot.Seen = new Sighting(version, now);
        var unchanged = _time.GetElapsedTime(slot.Seen.Since, now);
        if (opened is not null && _time.GetElapsedTime(opened.OpenedAt, now) >= opened.Lifetime) slot.Add(Doubts.Expired);
        if (ResourceSlot<T>.IsLent(version) && unchanged >= _options.LeakLimit && !slot.Seen.Reported)
        {
            slot.Seen = slot.Seen with { Reported = true };
            Interlocked.Increment(ref _leaksReported);
            _telemetry.Leaked();
            if (slot.Borrower is { } borrower) LogLeak(Name, slot.Number, unchanged, borrower.TraceId, borrower.Stack);
        }
        else if (slot.IsFree && opened is not null)
        {
            if (unchanged >= _options.CheckAfter) slot.Add(Doubts.Unchecked);
            if (unchanged >= _options.IdleLimit && idle > _options.MinIdle)
            {
                slot.Add(Doubts.Unneeded);
                idle--;
            }
        }
    }

    /// <summary>Closes what is free and may not be lent again.</summary>
    private async ValueTask LookAfterAsync(ResourceSlot<T> slot)
    {
        if (slot.Resource is null || WhyClose(slot) is null || !slot.TryCare()) return;
        // It may have been lent meanwhile, and be another one by now.
        await ReleaseAsync(slot, slot.Resource is null ? null : WhyClose(slot)).ConfigureAwait(false);
    }

    private CloseReason? WhyClose(ResourceSlot<T> slot) =>
        slot.Has(Doubts.Lost) ? CloseReason.Lost
        : slot.Generation != Volatile.Read(ref _generation) ? CloseReason.Cleared
        : slot.Has(Doubts.Expired) ? CloseReason.Expired
        : slot.Has(Doubts.Unneeded) ? CloseReason.Idle
        : null;

    private async ValueTask FillUpAsync(CancellationToken stop)
    {
        for (var missing = _options.MinIdle - _slots.Count(slot => slot.Resource is not null && slot.IsFree); missing > 0 && IsGateOpen; missing--)
        {
            if (Array.Find(_slots, slot => slot.Resource is null && slot.IsFree) is not { } empty || !empty.TryCare()) return;
            try
            {
                if (empty.Resource is null && !await TryOpenAsync(empty, TimeSpan.Zero, stop).ConfigureAwait(false)) return;
            }
            catch (Exception error) when (error is ResourcePoolException or OperationCanceledException)
            {
                LogNotFilled(Name, error.Message); // the next round tries again
                return;
            }
            finally
            {
                await GiveUpAsync(empty).ConfigureAwait(false);
            }
        }
    }

    private List<LeakReport> Leaks() =>
    [
        .. from slot in _slots
           let seen = slot.Seen
           where seen.Reported && seen.Version == slot.Version
           select new LeakReport(slot.Number, _time.GetElapsedTime(seen.Since), slot.Borrower?.Stack ?? "", slot.Borrower?.TraceId),
    ];

    [LoggerMessage(LogLevel.Warning, "Loan {Number} of pool {Pool} has been out for {HeldFor}. Trace {TraceId}. It was acquired\n{Stack}")]
    private partial void LogLeak(string pool, int number, TimeSpan heldFor, string? traceId, string stack);

    [LoggerMessage(LogLevel.Debug, "Pool {Pool} has less idle resources than it should: {Reason}")]
    private partial void LogNotFilled(string pool, string reason);
}
