using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using DistributedPatterns.Diagnostics;
using Microsoft.Extensions.Logging;

namespace DistributedPatterns.ProducerConsumer;

/// <summary>The queue inside one process: no copies, no leases, nothing left when the process ends.</summary>
/// <remarks>
/// Beyond the contract: a delivery is held until it is settled or disposed, without a lease, because its holder cannot die alone; only one that
/// was detached has a lease. Producers that wait for room and consumers that wait for items are served in the order in which they came.
/// <para>A payload is handed over as it is, not copied: who enqueues it must not change it any more.</para>
/// </remarks>
public sealed partial class ChannelWorkQueue<T> : IWorkQueue<T>, IDeliveryOwner, IMonitoredQueue
{
    // No payload leaves the process, so only its result, which is kept, is limited.
    private const int MaxResultBytes = 64 * 1024;

    private readonly ChannelWorkQueueOptions _options;
    private readonly TimeProvider _clock;
    private readonly ILogger _logger;
    private readonly QueueTelemetry _telemetry;

    public ChannelWorkQueue(string name, ChannelWorkQueueOptions options, TimeProvider clock, ILogger<ChannelWorkQueue<T>> logger)
    {
        ArgumentNullException.ThrowIfNull(options);
        (Name, _options, _clock, _logger) = (name, options, clock, logger);
        _telemetry = new QueueTelemetry(name, Variants.Channel, "channel");
        _keepTicks = Ticks(options.DoneKeepFor);
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public int Capacity => _options.Capacity;

    /// <inheritdoc/>
    public ValueTask<EnqueueResult> EnqueueAsync(WorkItem<T> item, CancellationToken cancellationToken = default)
    {
        if (cancellationToken.IsCancellationRequested) return ValueTask.FromCanceled<EnqueueResult>(cancellationToken);
        WorkQueueLimits.Check(item);
        using var span = _telemetry.StartSend(1);
        ProducerWait? wait;
        EnqueueResult result;
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            wait = Add(item, Context(), out result);
            Dispatch();
        }
        if (wait is not null) return WaitForRoomAsync(wait, _clock.GetTimestamp(), cancellationToken);
        _telemetry.Sent(result.Outcome);
        return new(result);
    }

    /// <inheritdoc/>
    public async ValueTask<IReadOnlyList<EnqueueResult>> EnqueueAsync(IReadOnlyList<WorkItem<T>> items, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(items);
        cancellationToken.ThrowIfCancellationRequested();
        foreach (var item in items) WorkQueueLimits.Check(item);
        using var span = _telemetry.StartSend(items.Count);
        var results = new EnqueueResult[items.Count];
        List<(int Index, ProducerWait Wait)>? waits = null;
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            for (var i = 0; i < results.Length; i++)
                if (Add(items[i], Context(), out results[i]) is { } wait) (waits ??= []).Add((i, wait));
            Dispatch();
        }
        var since = _clock.GetTimestamp();
        for (var i = 0; i < waits?.Count; i++)
        {
            try
            {
                results[waits[i].Index] = await WaitForRoomAsync(waits[i].Wait, since, cancellationToken).ConfigureAwait(false);
            }
            catch
            {
                // Those behind it must not slip in after their caller has left.
                lock (_gate) waits.ForEach(static behind => behind.Wait.Leave());
                throw;
            }
        }
        foreach (var result in results) _telemetry.Sent(result.Outcome);
        return results;
    }

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<Delivery<T>>> ReserveAsync(int max, CancellationToken cancellationToken = default)
    {
        WorkQueueLimits.CheckCount(max);
        if (cancellationToken.IsCancellationRequested) return ValueTask.FromCanceled<IReadOnlyList<Delivery<T>>>(cancellationToken);
        ConsumerWait wait;
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            MoveDue();
            // Who waits longer goes first.
            var deliveries = _consumers.Count == 0 ? Take(max) : [];
            if (deliveries.Count > 0 || IsDrained) return new(deliveries);
            wait = new ConsumerWait(max);
            wait.Node = _consumers.AddLast(wait);
        }
        return WaitForItemsAsync(wait, cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<Delivery<T>>> TryReserveAsync(int max, CancellationToken cancellationToken = default)
    {
        WorkQueueLimits.CheckCount(max);
        if (cancellationToken.IsCancellationRequested) return ValueTask.FromCanceled<IReadOnlyList<Delivery<T>>>(cancellationToken);
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            MoveDue();
            return new(Take(max));
        }
    }

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<SettleOutcome>> SettleAsync(IReadOnlyList<Settlement> settlements, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(settlements);
        if (cancellationToken.IsCancellationRequested) return ValueTask.FromCanceled<IReadOnlyList<SettleOutcome>>(cancellationToken);
        var outcomes = new SettleOutcome[settlements.Count];
        foreach (var one in settlements) WorkQueueLimits.Check(one, Name, MaxResultBytes);
        lock (_gate)
        {
            MoveDue();
            for (var i = 0; i < outcomes.Length; i++) outcomes[i] = Settle(WorkQueueLimits.Check(settlements[i], Name, MaxResultBytes));
            Dispatch();
        }
        for (var i = 0; i < outcomes.Length; i++) _telemetry.Settled(settlements[i].Verb, outcomes[i]);
        return new(outcomes);
    }

    /// <inheritdoc/>
    public ValueTask<CancelOutcome> CancelAsync(string id, CancellationToken cancellationToken = default)
    {
        lock (_gate)
        {
            MoveDue();
            var outcome = Cancel(id);
            Dispatch();
            return new(outcome);
        }
    }

    /// <inheritdoc/>
    public ValueTask<WorkItemStatus?> FindAsync(string id, CancellationToken cancellationToken = default)
    {
        lock (_gate)
        {
            MoveDue();
            return new(Find(id)?.Status);
        }
    }

    /// <inheritdoc/>
    public async ValueTask<ReadOnlyMemory<byte>?> GetResultAsync(string id, CancellationToken cancellationToken = default) =>
        await FindAsync(id, cancellationToken).ConfigureAwait(false) is { State: WorkItemState.Done } done ? done.Result : (ReadOnlyMemory<byte>?)null;

    /// <inheritdoc/>
    public async ValueTask<WorkItemStatus?> WaitForEndAsync(string id, CancellationToken cancellationToken = default)
    {
        Task<WorkItemStatus?> end;
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            MoveDue();
            if (Find(id) is not { } item) return null;
            if (item.Status is { HasEnded: true } ended) return ended;
            item.End ??= new(TaskCreationOptions.RunContinuationsAsynchronously);
            end = item.End.Task;
        }
        return await end.WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<DeadLetter<T>>> PeekDeadAsync(int offset, int count, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        WorkQueueLimits.CheckCount(count);
        lock (_gate)
        {
            MoveDue();
            return new([.. _dead.Skip(offset).Take(count).Select(item =>
                new DeadLetter<T>(item.Id, item.Payload, item.Note, item.Attempts, _clock.GetElapsedTime(item.EndedAt)))]);
        }
    }

    /// <inheritdoc/>
    public ValueTask<ReplayResult> ReplayDeadAsync(int max, CancellationToken cancellationToken = default)
    {
        WorkQueueLimits.CheckCount(max);
        lock (_gate) return new(Replay(_dead.Take(max).ToArray()));
    }

    /// <inheritdoc/>
    public ValueTask<ReplayResult> ReplayDeadAsync(IReadOnlyList<string> ids, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(ids);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(ids.Count, WorkQueueLimits.MaxReserve, nameof(ids));
        lock (_gate) return new(Replay([.. ids.Select(id => _items.GetValueOrDefault(id)).OfType<ChannelItem<T>>()]));
    }

    /// <inheritdoc/>
    public ValueTask SealAsync(CancellationToken cancellationToken = default)
    {
        lock (_gate)
        {
            _sealed = true;
            while (_producers.First is { } waiting) waiting.Value.Answer(new(waiting.Value.Item.Id ?? "", EnqueueOutcome.Sealed, Depth));
            Dispatch();
        }
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public ValueTask<WorkQueueLedger> LedgerAsync(CancellationToken cancellationToken = default)
    {
        lock (_gate)
        {
            MoveDue();
            return new(Ledger());
        }
    }

    /// <summary>Tells holders to stop and waiting callers that the queue is gone.</summary>
    public async ValueTask DisposeAsync()
    {
        var holders = new List<Delivery>();
        lock (_gate)
        {
            if (_disposed) return;
            _disposed = true;
            var gone = new ObjectDisposedException(nameof(ChannelWorkQueue<>));
            while (_consumers.First is { } consumer) consumer.Value.Fail(gone);
            while (_producers.First is { } producer) producer.Value.Fail(gone);
            foreach (var item in _items.Values)
            {
                item.End?.TrySetException(gone);
                if (item.Holder is { } holder) holders.Add(holder);
            }
        }
        foreach (var holder in holders) await ObserveAsync(holder.LoseAsync()).ConfigureAwait(false);
        if (_timer is not null) await _timer.DisposeAsync().ConfigureAwait(false);
    }

    ValueTask<SettleOutcome> IDeliveryOwner.SettleAsync(Settlement settlement, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested) return ValueTask.FromCanceled<SettleOutcome>(cancellationToken);
        var one = WorkQueueLimits.Check(settlement, Name, MaxResultBytes);
        SettleOutcome outcome;
        lock (_gate)
        {
            MoveDue();
            outcome = Settle(one);
            Dispatch();
        }
        _telemetry.Settled(one.Verb, outcome);
        return new(outcome);
    }

    ValueTask<SettleOutcome> IDeliveryOwner.DetachAsync(Delivery delivery, TimeSpan lease, CancellationToken cancellationToken)
    {
        delivery.End();
        return ((IDeliveryOwner)this).SettleAsync(Settlement.Extend(delivery.Id, delivery.Token, lease), cancellationToken);
    }

    async ValueTask IDeliveryOwner.AbandonAsync(Delivery delivery)
    {
        if (!delivery.IsLeaseLost) await ((IDeliveryOwner)this).SettleAsync(Settlement.Release(delivery), CancellationToken.None).ConfigureAwait(false);
        delivery.End();
    }

    Activity? IDeliveryOwner.StartProcess(Delivery delivery) => _telemetry.StartProcess(delivery);

    Task IMonitoredQueue.LookAsync(CancellationToken cancellationToken)
    {
        lock (_gate) _telemetry.Depth(Ledger());
        return Task.CompletedTask;
    }

    private static StrongBox<ActivityContext>? Context() => Activity.Current is { } current ? new(current.Context) : null;

    private string NewId()
    {
        while (true)
        {
            var id = string.Create(CultureInfo.InvariantCulture, $"{_options.IdPrefix}w{++_newIds}");
            if (!_items.ContainsKey(id)) return id;
        }
    }

    private async Task ObserveAsync(Task listeners)
    {
        try
        {
            await listeners.ConfigureAwait(false);
        }
        catch (Exception e)
        {
            // Whoever registered on the token runs code of its own; it has no say in the queue's.
            LogListenerFailed(e);
        }
    }

    [LoggerMessage(LogLevel.Error, "A listener on a delivery's token failed")]
    private partial void LogListenerFailed(Exception error);
}
