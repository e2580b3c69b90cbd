using System.Globalization;
using DistributedPatterns.Redis;
using StackExchange.Redis;

namespace DistributedPatterns.ProducerConsumer;

/// <summary>The calls of <c>queue.lua</c>, on bytes. Each is repeated with the same arguments while Redis is away.</summary>
internal sealed class RedisQueueScript
{
    public const string ReadyBell = "ready";
    public const string RoomBell = "room";
    public const string EndBell = "end";
    public const string CancelBell = "cancel";

    private static readonly RedisScript s_script = RedisScript.Load("ProducerConsumer/queue.lua");

    private static readonly string[] s_verbs = ["ack", "nack", "release", "extend", "dead", "fail"]; // by SettleVerb

    private readonly IConnectionMultiplexer _redis;
    private readonly RedisWorkQueueOptions _options;
    private readonly TimeProvider _clock;
    private readonly RedisRetry _retry;
    private readonly RedisKey[] _keys;
    private readonly string _process = Guid.NewGuid().ToString("N")[..12];
    private long _calls;

    public RedisQueueScript(IConnectionMultiplexer redis, string queue, RedisWorkQueueOptions options, TimeProvider clock)
    {
        (_redis, _options, _clock, _retry) = (redis, options, clock, new RedisRetry(clock));
        var tag = $"{{{options.KeyTag ?? "queue." + queue}}}";
        _keys = [$"{tag}:ready", $"{tag}:delayed", $"{tag}:lease", $"{tag}:jobs", $"{tag}:info", $"{tag}:dead", $"{tag}:done", $"{tag}:meta"];
        BellChannel = RedisChannel.Literal($"{tag}:bell");
    }

    public RedisChannel BellChannel { get; }

    /// <summary>Adds items; at most some hundreds a call.</summary>
    /// <param name="items">Ids and envelopes.</param>
    /// <param name="full">What a full queue does: <c>r</c>, <c>w</c>, <c>o</c> or <c>n</c>, see the script.</param>
    /// <param name="since">When the oldest of the callers asked.</param>
    public async Task<EnqueueResult[]> EnqueueAsync(IReadOnlyList<StoredItem> items, string full, long since)
    {
        var arguments = new RedisValue[9 - 1 + (items.Count * 5)];
        Fill(arguments, "enqueue", _options.Capacity, full, _options.PriorityStep, NewCall());
        for (var (i, at) = (0, 8); i < items.Count; i++)
        {
            var item = items[i];
            (arguments[at++], arguments[at++], arguments[at++]) = (item.Id, item.Envelope, Milliseconds(item.Delay));
            (arguments[at++], arguments[at++]) = (item.Priority, item.TimeToLive is { } ttl ? Math.Max(1, Milliseconds(ttl)) : 0);
        }
        var reply = await CallAsync(arguments, _options.RetryFor, since, CancellationToken.None).ConfigureAwait(false);
        var (depth, before) = ((int)reply[0], (int)reply[1]);
        var results = new EnqueueResult[items.Count];
        var isReady = false;
        for (var i = 0; i < results.Length; i++)
        {
            var code = (int)reply[i + 2];
            isReady |= code == 1 && items[i].Delay == TimeSpan.Zero;
            results[i] = code >= 10
                ? new(items[i].Id, EnqueueOutcome.Duplicate, depth, (WorkItemState)(code - 10))
                : new(items[i].Id, Outcome(code), depth);
        }
        // Whoever waits found nothing ready; where something was, nobody waits.
        if (isReady && before == 0) Ring(ReadyBell);
        return results;
    }

    /// <summary>Takes items. A repetition after a lost reply, within this call, is the same hand-out.</summary>
    /// <returns>What was taken, and the time to the next event: zero for at once, <see langword="null"/> for none; sealed when nothing will come.</returns>
    public async Task<HandOut> ReserveAsync(int count, TimeSpan budget, CancellationToken cancellationToken)
    {
        var arguments = new RedisValue[8];
        Fill(arguments, "reserve", Milliseconds(_options.Lease), _options.MaxAttempts, count, count == 0 ? "" : NewCall());
        var sent = 0L;
        var reply = await CallAsync(arguments, budget, _clock.GetTimestamp(), cancellationToken, () => sent = _clock.GetTimestamp()).ConfigureAwait(false);
        if ((int)reply[1] == 1) Ring(RoomBell);
        var items = new ReservedItem[(reply.Length - 2) / 8];
        for (var (i, at) = (0, 2); i < items.Length; i++, at += 8)
        {
            items[i] = new ReservedItem(
                (string)reply[at]!, (byte[])reply[at + 1]!, (long)reply[at + 2], (int)reply[at + 3], sent, (long)reply[at + 4], (long)reply[at + 5],
                (long)reply[at + 6], ((string)reply[at + 7]!)[0]);
        }
        return new HandOut(items, (long)reply[0]);
    }

    /// <summary>Settles or renews; at most some hundreds a call.</summary>
    public async Task<SettleOutcome[]> SettleAsync(IReadOnlyList<Settlement> settlements, TimeSpan budget, long since)
    {
        var arguments = new RedisValue[5 + (settlements.Count * 5)];
        Fill(arguments, "settle", _options.MaxAttempts);
        for (var (i, at) = (0, 5); i < settlements.Count; i++)
        {
            var one = settlements[i];
            (arguments[at++], arguments[at++], arguments[at++]) = (s_verbs[(int)one.Verb], one.Id, one.Token.ToString(CultureInfo.InvariantCulture));
            (arguments[at++], arguments[at++]) = (Milliseconds(one.Time), one.Verb is SettleVerb.Ack or SettleVerb.Fail ? one.Result : one.Reason);
        }
        var reply = await CallAsync(arguments, budget, since, CancellationToken.None).ConfigureAwait(false);
        if ((int)reply[0] == 1) Ring(ReadyBell);
        if ((int)reply[1] == 1) Ring(RoomBell);
        var outcomes = new SettleOutcome[settlements.Count];
        for (var i = 0; i < outcomes.Length; i++)
        {
            outcomes[i] = (int)reply[i + 2] switch
            {
                1 => SettleOutcome.Settled,
                2 => SettleOutcome.DeadLettered,
                3 or 4 => SettleOutcome.Cancelled,
                0 => SettleOutcome.Stale,
                _ => SettleOutcome.Unknown,
            };
        }
        return outcomes;
    }

    public async Task<CancelOutcome> CancelAsync(string id, CancellationToken cancellationToken)
    {
        var reply = await CallAsync("cancel", [id], cancellationToken).ConfigureAwait(false);
        if ((int)reply[1] == 1) Ring(RoomBell);
        switch ((int)reply[0])
        {
            case 1:
                Ring(EndBell);
                return CancelOutcome.Cancelled;
            case 2:
                Ring(CancelBell);
                return CancelOutcome.Requested;
            case 0:
                return CancelOutcome.Ended;
            default:
                return CancelOutcome.Unknown;
        }
    }

    /// <summary>Reads what became of items: <see langword="null"/> where an id is not known.</summary>
    public async Task<WorkItemStatus?[]> StatusAsync(IReadOnlyList<string> ids, CancellationToken cancellationToken)
    {
        var reply = await CallAsync("status", [.. ids], cancellationToken).ConfigureAwait(false);
        var found = new WorkItemStatus?[ids.Count];
        for (var (i, at) = (0, 0); i < found.Length; i++, at += 5)
        {
            var state = (string)reply[at]!;
            if (state.Length == 0) continue;
            found[i] = new WorkItemStatus(ids[i], State(state[0]), (int)reply[at + 1], (int)reply[at + 2] == 1, (string)reply[at + 3]!, (byte[])reply[at + 4]!);
        }
        return found;
    }

    public async Task<DeadItem[]> PeekAsync(int offset, int count, CancellationToken cancellationToken)
    {
        var reply = await CallAsync("peek", [offset, count], cancellationToken).ConfigureAwait(false);
        var dead = new DeadItem[reply.Length / 5];
        for (var (i, at) = (0, 0); i < dead.Length; i++, at += 5)
            dead[i] = new DeadItem((string)reply[at]!, TimeSpan.FromMilliseconds((long)reply[at + 1]), (int)reply[at + 2], (string)reply[at + 3]!, (byte[])reply[at + 4]!);
        return dead;
    }

    public async Task<ReplayResult> ReplayAsync(int max, IReadOnlyList<string> ids, CancellationToken cancellationToken)
    {
        var reply = await CallAsync("replay", [_options.Capacity, max, .. ids], cancellationToken).ConfigureAwait(false);
        if ((int)reply[0] > 0) Ring(ReadyBell);
        return new ReplayResult((int)reply[0], (int)reply[1]);
    }

    public async Task SealAsync(CancellationToken cancellationToken)
    {
        await CallAsync("seal", [], cancellationToken).ConfigureAwait(false);
        // Whoever waits for items or for room learns that nothing comes, or that nothing is taken.
        Ring(ReadyBell);
        Ring(RoomBell);
    }

    public async Task<WorkQueueLedger> StatsAsync(CancellationToken cancellationToken)
    {
        var n = await CallAsync("stats", [], cancellationToken).ConfigureAwait(false);
        return new WorkQueueLedger((long)n[0], (long)n[10], (long)n[11], (long)n[12], (long)n[13], (long)n[3], (long)n[1], (long)n[2])
        {
            Rejected = (long)n[4],
            Expired = (long)n[5],
            Fenced = (long)n[6],
            Replayed = (long)n[7],
            Redelivered = (long)n[8],
            Sealed = (int)n[9] == 1,
            OldestAge = TimeSpan.FromMilliseconds((long)n[14]),
            Failed = (long)n[15],
        };
    }

    /// <summary>Forgets the queue and all that is in it.</summary>
    public Task DeleteAsync() => _redis.GetDatabase().KeyDeleteAsync(_keys);

    public void Ring(string bell) => _redis.GetSubscriber().Publish(BellChannel, bell, CommandFlags.FireAndForget);

    private Task<RedisResult[]> CallAsync(string operation, RedisValue[] own, CancellationToken cancellationToken)
    {
        var arguments = new RedisValue[4 + own.Length];
        Fill(arguments, operation, own);
        return CallAsync(arguments, _options.RetryFor, _clock.GetTimestamp(), cancellationToken);
    }

    private Task<RedisResult[]> CallAsync(RedisValue[] arguments, TimeSpan budget, long since, CancellationToken cancellationToken, Action? onSend = null) =>
        _retry.RunAsync(async () =>
        {
            onSend?.Invoke();
            var reply = await s_script.EvaluateAsync(_redis.GetDatabase(), _keys, arguments).ConfigureAwait(false);
            return reply.Length < 0 ? [reply] : (RedisResult[])reply!;
        }, budget, since, cancellationToken);

    private void Fill(RedisValue[] arguments, string operation, params ReadOnlySpan<RedisValue> own)
    {
        (arguments[0], arguments[1], arguments[2], arguments[3]) = (operation, _options.DeadCapacity, _options.DoneKeep, Milliseconds(_options.DoneKeepFor));
        own.CopyTo(arguments.AsSpan(4));
    }

    // No other call of any process has it, a repetition of this one does.
    private string NewCall() => $"{_process}.{Interlocked.Increment(ref _calls)}";

    private static long Milliseconds(TimeSpan time) => (long)Math.Ceiling(time.TotalMilliseconds);

    private static EnqueueOutcome Outcome(int code) => code switch
    {
        1 => EnqueueOutcome.Accepted,
        0 => EnqueueOutcome.Full,
        3 => EnqueueOutcome.Dead,
        _ => EnqueueOutcome.Sealed,
    };

    private static WorkItemState State(char letter) => (WorkItemState)"rdlxfco".IndexOf(letter, StringComparison.Ordinal);
}

/// <summary>An item on its way into the queue.</summary>
internal readonly record struct StoredItem(string Id, byte[] Envelope, TimeSpan Delay, int Priority, TimeSpan? TimeToLive);

/// <summary>What a reserve got.</summary>
/// <param name="WakeMs">Milliseconds to the next event; 0 more is ready, -1 nothing to wait for, -2 sealed and empty.</param>
internal readonly record struct HandOut(ReservedItem[] Items, long WakeMs)
{
    public bool IsEnd => WakeMs == -2;
}

/// <summary>An item as the script hands it out.</summary>
/// <param name="Sent">When the call was sent that this is the answer to: the lease cannot have begun before.</param>
internal readonly record struct ReservedItem(
    string Id, byte[] Envelope, long Token, int Attempt, long Sent, long LeftMs, long AgeMs, long TtlLeftMs, char Why);

/// <summary>A dead letter, not yet decoded.</summary>
internal readonly record struct DeadItem(string Id, TimeSpan Age, int Attempts, string Note, byte[] Envelope);
