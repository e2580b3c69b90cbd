using System.Globalization;
using DistributedPatterns.EventLoop.Engine;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace DistributedPatterns.EventLoop;

/// <summary>The event loop over all processes: here events are posted and states are read; the turns are in processes that have <see cref="RedisLoopRunner"/>.</summary>
/// <remarks>
/// A partition is an ordered log, and a hash with its states, timers, ledger and cursor. One process owns it under a lease and an epoch. It reads events, handles
/// them, and keeps all that came of them together with the cursor in one step, in which the epoch is compared: what an owner that was replaced wants to keep is refused.
/// <para>So an event may be handled twice, when its owner is lost before it kept the outcome, and changes state and timers once. What a handler does elsewhere has no
/// such fence unless that place compares <see cref="TurnContext.Epoch"/> or <see cref="TurnContext.Position"/>.</para>
/// <para>The partitions of a process that dies or freezes have another owner within <see cref="RedisEventLoopOptions.Lease"/> and a third of it. A process that stops hands its
/// own back after the event in hand, and so do all when another one joins, until each has its share.</para>
/// </remarks>
public sealed class RedisEventLoop : IEventLoop
{
    private static readonly TimeSpan s_firstPause = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan s_longestPause = TimeSpan.FromMilliseconds(250);

    private readonly RedisLoopStore _store;
    private readonly LoopHandlerCatalog _handlers;
    private readonly RedisEventLoopOptions _options;
    private readonly TimeProvider _time;
    private readonly string _process = Guid.NewGuid().ToString("N")[..12];
    private long _posts;

    internal RedisEventLoop(RedisLoopStore store, LoopHandlerCatalog handlers, IOptions<RedisEventLoopOptions> options, TimeProvider time) =>
        (_store, _handlers, _options, _time) = (store, handlers, options.Value, time);

    /// <inheritdoc/>
    public ValueTask<PostReceipt> PostAsync(PostRequest request, CancellationToken cancellationToken = default) => PostAsync(request, isAsked: false, cancellationToken);

    /// <inheritdoc/>
    public async ValueTask<KeyState> AskAsync(PostRequest request, TimeSpan within, CancellationToken cancellationToken = default)
    {
        if (RedisPartitionOwner.IsInTurn) throw new LoopReentrancyException();
        using var limit = new CancellationTokenSource(within, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, limit.Token);
        PostReceipt? receipt = null;
        try
        {
            using var bell = PartitionOf(request.Key).ListenForHandled();
            receipt = await PostAsync(request, isAsked: true, either.Token).ConfigureAwait(false);
            return await WhenHandledAsync(request.Key, receipt.Value.Position, bell, either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            cancellationToken.ThrowIfCancellationRequested();
            throw new AskTimedOutException(request.Key, within, receipt);
        }
    }

    /// <inheritdoc/>
    public async ValueTask<KeyState?> ReadAsync(string key, CancellationToken cancellationToken = default)
    {
        LoopRequests.CheckKey(key);
        return (await PartitionOf(key).ReadStateAsync(key, cancellationToken).ConfigureAwait(false)).State;
    }

    /// <inheritdoc/>
    public async ValueTask<EventLoopStatus> GetStatusAsync(CancellationToken cancellationToken = default)
    {
        var listing = _store.ListAsync(cancellationToken);
        var stats = await Task.WhenAll(_store.Partitions.Select(partition => partition.StatsAsync(cancellationToken))).ConfigureAwait(false);
        var owners = await listing.ConfigureAwait(false);
        return new EventLoopStatus([.. stats.Select((one, number) => Read(number, owners[number], one))]);
    }

    private async ValueTask<PostReceipt> PostAsync(PostRequest request, bool isAsked, CancellationToken cancellationToken)
    {
        LoopRequests.Read(request, _handlers);
        await _store.CheckAsync(cancellationToken).ConfigureAwait(false);
        var partition = PartitionOf(request.Key);
        // A caller's id and one of ours never meet.
        var append = RedisAppendRequest.Of(request.Id is { } id ? $"u{id}" : $"g{_process}{Interlocked.Increment(ref _posts).ToString("x", CultureInfo.InvariantCulture)}", request, isAsked);
        var since = _time.GetTimestamp();
        for (var pause = s_firstPause; ; pause = pause * 2 < s_longestPause ? pause * 2 : s_longestPause)
        {
            var reply = await partition.AppendAsync(append, cancellationToken).ConfigureAwait(false);
            switch (reply.Code)
            {
                case RedisAppendReply.Taken:
                    return new PostReceipt(partition.Number, reply.Value, IsNew: true);
                case RedisAppendReply.Known:
                    return new PostReceipt(partition.Number, reply.Value, IsNew: false);
                case RedisAppendReply.Fenced:
                    throw new PartitionFencedException(partition.Number, request.Epoch!.Value, reply.Value);
            }
            var waited = _time.GetElapsedTime(since);
            if (_options.WhenFull == LoopFullPolicy.Reject || _options.FullWait <= waited) throw Full(partition.Number, reply, waited);
            await Task.Delay(pause * (0.5 + (Random.Shared.NextDouble() / 2)), _time, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task<KeyState> WhenHandledAsync(string key, long position, Redis.RedisDoorbell.Listener bell, CancellationToken cancellationToken)
    {
        var partition = PartitionOf(key);
        while (true)
        {
            var (cursor, state) = await partition.ReadStateAsync(key, cancellationToken).ConfigureAwait(false);
            if (cursor >= position)
            {
                // A state that an event of this key did not reach: it is dead. A key without a state may have been ended by it.
                if (state?.Position < position) throw new LoopEventFailedException(key, "its handler failed; the status of its partition and the log of its owner say why.");
                return state ?? new KeyState(key, partition.Number, 0, cursor, null);
            }
            await bell.WaitAsync(_options.PollEvery, cancellationToken).ConfigureAwait(false);
        }
    }

    private EventLoopFullException Full(int partition, RedisAppendReply reply, TimeSpan waited) => reply.Code == RedisAppendReply.KeysFull
        ? new(partition, "keys", reply.Value, _options.MaxKeys, waited, "Raise MaxKeys, or end keys that are done.")
        : new(partition, "events", reply.Value, _options.Capacity, waited, "Raise Capacity, add workers, or post slower.");

    private RedisPartition PartitionOf(string key)
    {
        LoopRequests.CheckKey(key);
        return _store.Partitions[LoopRequests.PartitionOf(key, _store.Partitions.Count)];
    }

    private static PartitionStatus Read(int number, (long Epoch, string? Owner, TimeSpan Left) owner, RedisResult[] reply)
    {
        var slowest = ((string)reply[10]!).Split(' ') is [var handler, var ms] ? new SlowTurn(handler, TimeSpan.FromMilliseconds(long.Parse(ms, CultureInfo.InvariantCulture))) : null;
        return new PartitionStatus(
            number, owner.Epoch, owner.Owner, owner.Owner is null ? null : owner.Left, (int)Count(12), TimeSpan.FromMilliseconds(Count(14)), slowest,
            (string)reply[11]! is { Length: > 0 } error ? error : null, new EventLedger(Count(2), Count(3), Count(4), Count(13)), new EventCounters(Count(5), Count(6), Count(7), Count(8), Count(9)));

        long Count(int i) => long.Parse((string)reply[i]!, CultureInfo.InvariantCulture);
    }
}
