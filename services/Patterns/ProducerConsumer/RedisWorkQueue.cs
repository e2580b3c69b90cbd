using System.Diagnostics;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Payloads;
using DistributedPatterns.Redis;
using Microsoft.Extensions.Logging;
using StackExchange.Redis;

namespace DistributedPatterns.ProducerConsumer;

/// <summary>The queue across processes: one set of keys in Redis, a lease for each item in hand (<c>queue.lua</c>).</summary>
/// <remarks>
/// Beyond the contract: items outlive every process, and the item of a consumer that died comes again after its lease. The price: exclusion
/// is by lease, so never certain. A holder that was frozen past its lease is refused by its token when it settles, but what it did meanwhile it
/// did; the store that the work writes to has to compare <see cref="Delivery.Token"/>.
/// <para>While Redis is away calls are repeated, the same ids in the same call, for <see cref="RedisWorkQueueOptions.RetryFor"/>, then its error
/// surfaces; a reserve that waits goes on as long as its token allows. What Redis loses, the queue loses: see its durability.</para>
/// Calls of one kind that come at the same time share a round trip. The multiplexer is the caller's.
/// </remarks>
public sealed partial class RedisWorkQueue<T> : IWorkQueue<T>, IDeliveryOwner, IMonitoredQueue
{
    private const int MaxPerCall = 128;
    private const int MaxBytesPerCall = 1024 * 1024;

    private readonly IPayloadCodec<T> _codec;
    private readonly RedisWorkQueueOptions _options;
    private readonly TimeProvider _clock;
    private readonly ILogger _logger;
    private readonly RedisQueueScript _script;
    private readonly RedisDoorbell _doorbell;
    private readonly LeaseKeeper _leases;
    private readonly EndWatch _ends;
    private readonly CallBatcher<StoredItem, EnqueueResult> _enqueues;
    private readonly CallBatcher<Want, HandOut> _reserves;
    private readonly CallBatcher<Settlement, SettleOutcome> _settlements;
    private readonly QueueTelemetry _telemetry;
    private readonly Lock _gate = new();
    private readonly HashSet<Task> _orphans = [];
    private readonly CancellationTokenSource _stop = new(); // ends the tries of calls that nobody waits for any more

    public RedisWorkQueue(
        IConnectionMultiplexer redis, string name, IPayloadCodec<T> codec, RedisWorkQueueOptions options, TimeProvider clock, ILogger<RedisWorkQueue<T>> logger)
    {
        (Name, _codec, _options, _clock, _logger) = (name, codec, options, clock, logger);
        _script = new RedisQueueScript(redis, name, options, clock);
        _doorbell = new RedisDoorbell(redis, _script.BellChannel, clock);
        _leases = new LeaseKeeper(_script, _doorbell, options, clock, logger);
        _ends = new EndWatch(_script, _doorbell, options);
        var full = options.WhenFull switch { QueueFullPolicy.Wait => "w", QueueFullPolicy.DropOldest => "o", QueueFullPolicy.DropNewest => "n", _ => "r" };
        _enqueues = new(MaxPerCall, MaxBytesPerCall, static item => item.Envelope.Length, clock, (items, since) => _script.EnqueueAsync(items, full, since));
        _reserves = new(MaxPerCall, WorkQueueLimits.MaxReserve, static want => want.Max, clock, ReserveInOneCallAsync);
        _settlements = new(MaxPerCall, MaxBytesPerCall, static one => one.Result.Length, clock, SettleInOneCallAsync);
        _telemetry = new QueueTelemetry(name, Variants.Distributed, "redis");
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public int Capacity => _options.Capacity;

    /// <inheritdoc/>
    public async ValueTask<CancelOutcome> CancelAsync(string id, CancellationToken cancellationToken = default) =>
        await _script.CancelAsync(id, cancellationToken).WaitAsync(cancellationToken).ConfigureAwait(false);

    /// <inheritdoc/>
    public async ValueTask<WorkItemStatus?> FindAsync(string id, CancellationToken cancellationToken = default) =>
        (await _script.StatusAsync([id], cancellationToken).WaitAsync(cancellationToken).ConfigureAwait(false))[0];

    /// <inheritdoc/>
    public async ValueTask<ReadOnlyMemory<byte>?> GetResultAsync(string id, CancellationToken cancellationToken = default) =>
        await FindAsync(id, cancellationToken).ConfigureAwait(false) is { State: WorkItemState.Done } done ? done.Result : (ReadOnlyMemory<byte>?)null;

    /// <inheritdoc/>
    public async ValueTask<WorkItemStatus?> WaitForEndAsync(string id, CancellationToken cancellationToken = default) =>
        await _ends.WaitAsync(id, cancellationToken).ConfigureAwait(false);

    /// <inheritdoc/>
    public async ValueTask<IReadOnlyList<DeadLetter<T>>> PeekDeadAsync(int offset, int count, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        WorkQueueLimits.CheckCount(count);
        var dead = await _script.PeekAsync(offset, count, cancellationToken).WaitAsync(cancellationToken).ConfigureAwait(false);
        return Array.ConvertAll(dead, one => new DeadLetter<T>(one.Id, TryDecode(one.Envelope), one.Note, one.Attempts, one.Age));
    }

    /// <inheritdoc/>
    public ValueTask<ReplayResult> ReplayDeadAsync(int max, CancellationToken cancellationToken = default)
    {
        WorkQueueLimits.CheckCount(max);
        return new(_script.ReplayAsync(max, [], cancellationToken).WaitAsync(cancellationToken));
    }

    /// <inheritdoc/>
    public async ValueTask<ReplayResult> ReplayDeadAsync(IReadOnlyList<string> ids, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(ids);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(ids.Count, WorkQueueLimits.MaxReserve, nameof(ids));
        if (ids.Count == 0) return new ReplayResult(0, (int)(await LedgerAsync(cancellationToken).ConfigureAwait(false)).Dead);
        return await _script.ReplayAsync(ids.Count, ids, cancellationToken).WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public ValueTask SealAsync(CancellationToken cancellationToken = default) => new(_script.SealAsync(cancellationToken).WaitAsync(cancellationToken));

    /// <inheritdoc/>
    public ValueTask<WorkQueueLedger> LedgerAsync(CancellationToken cancellationToken = default) => new(_script.StatsAsync(cancellationToken).WaitAsync(cancellationToken));

    /// <summary>Deletes the queue and everything in it, for every process.</summary>
    public Task DeleteAsync() => _script.DeleteAsync();

    /// <summary>Gives back what this process holds and stops renewing. The queue itself stays.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _leases.DisposeAsync().ConfigureAwait(false);
        await _ends.DisposeAsync().ConfigureAwait(false);
        Task[] orphans;
        lock (_gate) orphans = [.. _orphans];
        await Task.WhenAll(orphans).ConfigureAwait(false);
        await _doorbell.DisposeAsync().ConfigureAwait(false);
    }

    async Task IMonitoredQueue.LookAsync(CancellationToken cancellationToken)
    {
        // Moves what is due, should no consumer be alive to do it.
        await _script.ReserveAsync(0, TimeSpan.Zero, cancellationToken).ConfigureAwait(false);
        if (QueueTelemetry.IsDepthWatched) _telemetry.Depth(await LedgerAsync(cancellationToken).ConfigureAwait(false));
    }

    Activity? IDeliveryOwner.StartProcess(Delivery delivery) => _telemetry.StartProcess(delivery);

    private T? TryDecode(byte[] envelope)
    {
        try
        {
            return QueueEnvelope.Decode(envelope, _codec).Payload;
        }
        catch (FormatException)
        {
            return default; // the reason says so
        }
    }

    [LoggerMessage(LogLevel.Warning, "Item {Id} could not be given back, its lease will do it: {Reason}")]
    private partial void LogNotGivenBack(string id, string reason);
}
