using System.Diagnostics;
using System.Runtime.CompilerServices;
using DistributedPatterns.Redis;

namespace DistributedPatterns.ProducerConsumer;

// In, out and settled: the path of an item.
public sealed partial class RedisWorkQueue<T>
{
    /// <inheritdoc/>
    public async ValueTask<EnqueueResult> EnqueueAsync(WorkItem<T> item, CancellationToken cancellationToken = default)
    {
        using var span = _telemetry.StartSend(1);
        var stored = Store(item);
        var since = _clock.GetTimestamp();
        var result = await _enqueues.AddAsync(stored, cancellationToken).ConfigureAwait(false);
        if (result.Outcome == EnqueueOutcome.Full && _options.WhenFull == QueueFullPolicy.Wait)
            result = (await WaitForRoomAsync([stored], since, cancellationToken).ConfigureAwait(false))[0];
        _telemetry.Sent(result.Outcome);
        return result;
    }

    /// <inheritdoc/>
    public async ValueTask<IReadOnlyList<EnqueueResult>> EnqueueAsync(IReadOnlyList<WorkItem<T>> items, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(items);
        if (items.Count == 0) return [];
        using var span = _telemetry.StartSend(items.Count);
        var stored = new StoredItem[items.Count];
        for (var i = 0; i < stored.Length; i++) stored[i] = Store(items[i]);
        var since = _clock.GetTimestamp();
        var results = await _enqueues.AddAsync(stored, cancellationToken).ConfigureAwait(false);
        if (_options.WhenFull == QueueFullPolicy.Wait)
        {
            var refused = Enumerable.Range(0, results.Length).Where(i => results[i].Outcome == EnqueueOutcome.Full).ToArray();
            var late = refused.Length == 0 ? [] : await WaitForRoomAsync(Array.ConvertAll(refused, i => stored[i]), since, cancellationToken).ConfigureAwait(false);
            for (var i = 0; i < refused.Length; i++) results[refused[i]] = late[i];
        }
        foreach (var result in results) _telemetry.Sent(result.Outcome);
        return results;
    }

    /// <inheritdoc/>
    public async ValueTask<IReadOnlyList<Delivery<T>>> ReserveAsync(int max, CancellationToken cancellationToken = default)
    {
        WorkQueueLimits.CheckCount(max);
        var (deliveries, wake) = await TakePatientlyAsync(max, cancellationToken).ConfigureAwait(false);
        if (deliveries.Count > 0 || wake is null) return deliveries;
        // Listen first, then look again: no ring falls in between.
        using var bell = _doorbell.Listen(RedisQueueScript.ReadyBell);
        while (true)
        {
            (deliveries, wake) = await TakePatientlyAsync(max, cancellationToken).ConfigureAwait(false);
            if (deliveries.Count > 0 || wake is not { } until) return deliveries;
            if (until > TimeSpan.Zero) await bell.WaitAsync(until, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <inheritdoc/>
    public async ValueTask<IReadOnlyList<Delivery<T>>> TryReserveAsync(int max, CancellationToken cancellationToken = default)
    {
        WorkQueueLimits.CheckCount(max);
        return (await TakeAsync(max, cancellationToken).ConfigureAwait(false)).Deliveries;
    }

    /// <inheritdoc/>
    public async ValueTask<IReadOnlyList<SettleOutcome>> SettleAsync(IReadOnlyList<Settlement> settlements, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(settlements);
        if (settlements.Count == 0) return [];
        var some = new Settlement[settlements.Count];
        for (var i = 0; i < some.Length; i++) some[i] = WorkQueueLimits.Check(settlements[i], Name, RedisWorkQueueOptions.MaxPayloadBytes);
        foreach (var one in some) Begin(one);
        SettleOutcome[]? outcomes = null;
        try
        {
            outcomes = await _settlements.AddAsync(some, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            for (var i = 0; i < some.Length; i++) Finish(some[i], outcomes?[i]);
        }
        return outcomes;
    }

    async ValueTask<SettleOutcome> IDeliveryOwner.SettleAsync(Settlement settlement, CancellationToken cancellationToken)
    {
        var one = WorkQueueLimits.Check(settlement, Name, RedisWorkQueueOptions.MaxPayloadBytes);
        Begin(one);
        SettleOutcome? outcome = null;
        try
        {
            outcome = await _settlements.AddAsync(one, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            Finish(one, outcome);
        }
        return outcome.Value;
    }

    async ValueTask<SettleOutcome> IDeliveryOwner.DetachAsync(Delivery delivery, TimeSpan lease, CancellationToken cancellationToken)
    {
        delivery.End();
        // A renewal that came after this would make the lease another one.
        await _leases.DropAsync(delivery).WaitAsync(cancellationToken).ConfigureAwait(false);
        return await ((IDeliveryOwner)this).SettleAsync(Settlement.Extend(delivery.Id, delivery.Token, lease), cancellationToken).ConfigureAwait(false);
    }

    async ValueTask IDeliveryOwner.AbandonAsync(Delivery delivery)
    {
        if (delivery.IsLeaseLost)
        {
            delivery.End();
            return;
        }
        try
        {
            await ((IDeliveryOwner)this).SettleAsync(Settlement.Release(delivery), CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception e) when (RedisRetry.IsOutage(e))
        {
            LogNotGivenBack(delivery.Id, e.Message);
            delivery.End();
            _leases.Drop(delivery);
        }
    }

    private StoredItem Store(WorkItem<T> item)
    {
        WorkQueueLimits.Check(item);
        var envelope = QueueEnvelope.Encode(Name, item, _codec, Activity.Current?.Context ?? default, RedisWorkQueueOptions.MaxPayloadBytes);
        return new StoredItem(item.Id ?? Guid.CreateVersion7().ToString("N"), envelope, item.Delay, item.Priority, item.TimeToLive);
    }

    // Sends what found no room again whenever there is some, in order, until all of it is in or the wait is over.
    private async Task<EnqueueResult[]> WaitForRoomAsync(StoredItem[] items, long since, CancellationToken cancellationToken)
    {
        using var bell = _doorbell.Listen(RedisQueueScript.RoomBell);
        var results = new EnqueueResult[items.Length];
        for (var done = 0; ;)
        {
            var left = _options.FullWait is { } limit ? limit - _clock.GetElapsedTime(since) : _options.PollEvery;
            var full = left > TimeSpan.Zero ? "w" : "r";
            // One call at a time: what was accepted is known before more is sent.
            var some = items.AsSpan(done, Math.Min(MaxPerCall, items.Length - done)).ToArray();
            var replies = await _script.EnqueueAsync(some, full, _clock.GetTimestamp()).WaitAsync(cancellationToken).ConfigureAwait(false);
            replies.CopyTo(results, done);
            var firstRefused = Array.FindIndex(replies, reply => reply.Outcome == EnqueueOutcome.Full);
            done += firstRefused >= 0 && full == "w" ? firstRefused : replies.Length;
            if (done == items.Length) return results;
            if (firstRefused < 0 || full == "r") continue;
            if (await bell.RingsAsync(left < _options.PollEvery ? left : _options.PollEvery, cancellationToken).ConfigureAwait(false)) continue;
            // Leases that ran out take up room until somebody looks.
            await _script.ReserveAsync(0, _options.RetryFor, cancellationToken).ConfigureAwait(false);
        }
    }

    // As long as the token allows, however long Redis is away.
    private async Task<(IReadOnlyList<Delivery<T>> Deliveries, TimeSpan? Wake)> TakePatientlyAsync(int max, CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                return await TakeAsync(max, cancellationToken).ConfigureAwait(false);
            }
            catch (Exception e) when (RedisRetry.IsOutage(e))
            {
                await Task.Delay(_options.PollEvery, _clock, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    /// <summary>Takes what is there. The wake-up time is <see langword="null"/> at the end of a sealed queue.</summary>
    private async Task<(IReadOnlyList<Delivery<T>> Deliveries, TimeSpan? Wake)> TakeAsync(int max, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var call = _reserves.AddAsync(new Want(max, cancellationToken), CancellationToken.None); // its outcome is needed even if the caller leaves
        HandOut got;
        try
        {
            got = await call.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            Adopt(call);
            throw;
        }
        var deliveries = new List<Delivery<T>>(got.Items.Length);
        foreach (var item in got.Items)
            if (await TryReceiveAsync(item).ConfigureAwait(false) is { } delivery) deliveries.Add(delivery);
        TimeSpan? wake = got.IsEnd ? null : got.WakeMs < 0 || got.WakeMs > _options.PollEvery.TotalMilliseconds ? _options.PollEvery : TimeSpan.FromMilliseconds(got.WakeMs);
        return (deliveries, wake);
    }

    private async Task<Delivery<T>?> TryReceiveAsync(ReservedItem item)
    {
        try
        {
            var (payload, creator, isWatched) = QueueEnvelope.Decode(item.Envelope, _codec);
            var delivery = new Delivery<T>(this, item.Id, item.Token, item.Attempt, payload)
            {
                Redelivery = Reason(item.Why),
                Age = TimeSpan.FromMilliseconds(item.AgeMs),
                TimeLeft = item.TtlLeftMs < 0 ? null : TimeSpan.FromMilliseconds(item.TtlLeftMs),
                Creator = creator.TraceId == default ? null : new StrongBox<ActivityContext>(creator),
                IsWatched = isWatched,
            };
            _leases.Hold(delivery, item.Sent, TimeSpan.FromMilliseconds(item.LeftMs));
            _telemetry.Consumed(delivery);
            return delivery;
        }
        catch (FormatException e)
        {
            // No consumer can ever read it, so no attempt will help.
            await _settlements.AddAsync(Settlement.DeadLetter(item.Id, item.Token, "unreadable: " + e.Message), CancellationToken.None).ConfigureAwait(false);
            return null;
        }
    }

    // A reserve whose caller has left may still hand something out: it goes back untried.
    private void Adopt(Task<HandOut> call)
    {
        var orphan = GiveBackAsync(call);
        lock (_gate)
        {
            _orphans.RemoveWhere(static task => task.IsCompleted);
            _orphans.Add(orphan);
        }
    }

    private async Task GiveBackAsync(Task<HandOut> call)
    {
        try
        {
            var got = await call.ConfigureAwait(false);
            await _settlements.AddAsync(Array.ConvertAll(got.Items, item => Settlement.Release(item.Id, item.Token)), CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception e) when (e is OperationCanceledException || RedisRetry.IsOutage(e))
        {
            // Then nothing was handed out, or its lease gives it back.
        }
    }

    private static void Begin(Settlement settlement)
    {
        if (settlement.Delivery is { } delivery) Interlocked.Increment(ref delivery.Settling);
    }

    private void Finish(Settlement settlement, SettleOutcome? outcome)
    {
        if (outcome is { } known) _telemetry.Settled(settlement.Verb, known);
        if (settlement.Delivery is not { } delivery) return;
        var isHeld = outcome is null || (settlement.Verb == SettleVerb.Extend && outcome is SettleOutcome.Settled or SettleOutcome.Cancelled);
        if (!isHeld)
        {
            delivery.End();
            _leases.Drop(delivery);
        }
        Interlocked.Decrement(ref delivery.Settling); // last: a renewal that this made fail must still find it under way, or through
    }

    private async Task<HandOut[]> ReserveInOneCallAsync(IReadOnlyList<Want> wants, long since)
    {
        // Who has left by now gets nothing; who leaves from here on gives it back.
        var counts = wants.Select(static want => want.Consumer.IsCancellationRequested ? 0 : want.Max).ToArray();
        var got = await _script.ReserveAsync(counts.Sum(), _options.RetryFor, _stop.Token).ConfigureAwait(false);
        var (shares, taken) = (new HandOut[wants.Count], 0);
        for (var i = 0; i < shares.Length; i++)
        {
            // First come, first served.
            var share = Math.Min(counts[i], got.Items.Length - taken);
            shares[i] = got with { Items = got.Items[taken..(taken + share)] };
            taken += share;
        }
        return shares;
    }

    /// <summary>What one consumer asks for.</summary>
    private readonly record struct Want(int Max, CancellationToken Consumer);

    private async Task<SettleOutcome[]> SettleInOneCallAsync(IReadOnlyList<Settlement> some, long since)
    {
        var outcomes = await _script.SettleAsync(some, _options.RetryFor, since).ConfigureAwait(false);
        // One ring a call, not one an item: whoever waits reads the states of all that it waits for.
        if (some.Any(IsWatchedEnd)) _script.Ring(RedisQueueScript.EndBell);
        return outcomes;
    }

    // Without the delivery nobody here knows whether somebody waits.
    private static bool IsWatchedEnd(Settlement settlement) => settlement.Verb != SettleVerb.Extend && settlement.Delivery is null or { IsWatched: true };

    private static RedeliveryReason Reason(char why) => why switch
    {
        'n' => RedeliveryReason.Nacked,
        'r' => RedeliveryReason.Released,
        'e' => RedeliveryReason.Expired,
        'v' => RedeliveryReason.NeverDelivered,
        'p' => RedeliveryReason.Replayed,
        _ => RedeliveryReason.None,
    };
}
