using System.Buffers;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using DistributedPatterns.Redis;
using StackExchange.Redis;

namespace DistributedPatterns.EventLoop.Engine;

/// <summary>The calls of <c>partition_log.lua</c> for one partition. Each is repeated with the same arguments while Redis is away.</summary>
internal sealed class RedisPartition
{
    private const int AppendsACall = 128;
    private const int WeightACall = 1_000; // events, and kilobytes

    private static readonly RedisScript s_script = RedisScript.Load("EventLoop/partition_log.lua");

    private readonly RedisLoopStore _store;
    private readonly IConnectionMultiplexer _redis;
    private readonly RedisEventLoopOptions _options;
    private readonly TimeProvider _time;
    private readonly RedisRetry _retry;
    private readonly RedisKey[] _keys;
    private readonly CallBatcher<RedisAppendRequest, RedisAppendReply> _appends;
    private readonly string _bell;
    private readonly string _handledBell;

    public RedisPartition(RedisLoopStore store, IConnectionMultiplexer redis, int number, RedisEventLoopOptions options, TimeProvider time, RedisRetry retry)
    {
        (_store, _redis, _options, _time, _retry, Number) = (store, redis, options, time, retry, number);
        var tag = string.Create(CultureInfo.InvariantCulture, $"{{{options.KeyTag}:{number}}}");
        _keys = [$"{tag}:log", $"{tag}:data", $"{tag}:ids"];
        _bell = string.Create(CultureInfo.InvariantCulture, $"p{number}");
        _handledBell = string.Create(CultureInfo.InvariantCulture, $"h{number}");
        _appends = new(AppendsACall, WeightACall, static request => request.Weight, time, AppendAsync);
    }

    public int Number { get; }

    public RedisDoorbell.Listener ListenForEvents() => _store.Listen(_bell);

    public RedisDoorbell.Listener ListenForHandled() => _store.Listen(_handledBell);

    public void RingHandled() => _store.Ring(_handledBell);

    /// <summary>Appends the events of a post; posts that come at the same time share a call.</summary>
    public Task<RedisAppendReply> AppendAsync(RedisAppendRequest request, CancellationToken cancellationToken) => _appends.AddAsync(request, cancellationToken);

    /// <summary>Shuts older epochs out.</summary>
    /// <returns>The cursor, the number of keys, the server's time and the last commit's id, or <see langword="null"/>: the epoch is over.</returns>
    public async Task<(long Cursor, int Keys, long NowMs, string Commit)?> OpenAsync(long epoch, CancellationToken cancellationToken)
    {
        var reply = await CallAsync(cancellationToken, "open", epoch).ConfigureAwait(false);
        return (int)reply[0] == 1 ? (Number(reply[1]), (int)reply[2], Number(reply[3]), (string)reply[4]!) : null;

        static long Number(RedisResult value) => long.Parse((string)value!, CultureInfo.InvariantCulture);
    }

    /// <summary>Reads timers. Only for the owner: nobody else changes them meanwhile.</summary>
    /// <returns>Fields without their prefix, and values.</returns>
    public async Task<List<(string Field, string Value)>> ReadTimersAsync(CancellationToken cancellationToken)
    {
        var timers = new List<(string, string)>();
        await foreach (var entry in _redis.GetDatabase().HashScanAsync(_keys[1], "t:*", pageSize: 500).WithCancellation(cancellationToken).ConfigureAwait(false))
            if (!entry.Value.IsNullOrEmpty) timers.Add((((string)entry.Name!)[2..], (string)entry.Value!));
        return timers;
    }

    /// <returns>The next events and the server's time, or <see langword="null"/>: the epoch is over.</returns>
    public async Task<(List<RedisLoggedEvent> Events, long NowUs)?> ReadAsync(long epoch, long after, CancellationToken cancellationToken)
    {
        var reply = await CallAsync(cancellationToken, "read", epoch, after, _options.BatchSize).ConfigureAwait(false);
        if ((int)reply[0] == 0) return null;
        return ([.. reply.Skip(2).Select(static one => RedisLoggedEvent.Parse((byte[])one!))], long.Parse((string)reply[1]!, CultureInfo.InvariantCulture));
    }

    public async Task<RedisValue[]> ReadStatesAsync(IReadOnlyCollection<string> keys, CancellationToken cancellationToken)
    {
        var fields = keys.Select(static key => (RedisValue)("s:" + key)).ToArray();
        return await RetryAsync(() => _redis.GetDatabase().HashGetAsync(_keys[1], fields), cancellationToken).ConfigureAwait(false);
    }

    /// <returns>The cursor and a key's state, of one moment.</returns>
    public async Task<(long Cursor, KeyState? State)> ReadStateAsync(string key, CancellationToken cancellationToken)
    {
        var read = await _retry.RunAsync(
            () => _redis.GetDatabase().HashGetAsync(_keys[1], ["cursor", "s:" + key]), _options.RetryFor, _time.GetTimestamp(), cancellationToken).WaitAsync(cancellationToken).ConfigureAwait(false);
        return ((long?)read[0] ?? 0, RedisStoredState.Show(key, Number, read[1]));
    }

    public async Task<RedisCommitment> CommitAsync(long epoch, RedisCommit commit, CancellationToken cancellationToken)
    {
        var arguments = new RedisValue[12 + (commit.Changes.Count * 2)];
        (arguments[0], arguments[1], arguments[2], arguments[3]) = ("commit", epoch, commit.From, commit.To);
        (arguments[4], arguments[5], arguments[6], arguments[7]) = (commit.Applied, commit.Dead, commit.Timers, commit.Slow);
        (arguments[8], arguments[9]) = (commit.Slowest ?? "", commit.Error ?? "");
        (arguments[10], arguments[11]) = (commit.Id, commit.After);
        var at = 12;
        foreach (var (field, value) in commit.Changes) (arguments[at++], arguments[at++]) = (field, value);
        var reply = await CallAsync(cancellationToken, arguments).ConfigureAwait(false);
        return (int)reply[0] switch
        {
            1 => new RedisCommitment(CommitResult.Kept, (int)reply[1]),
            0 => new RedisCommitment(CommitResult.Fenced, 0),
            _ => new RedisCommitment(CommitResult.Moved, 0),
        };
    }

    public async Task<RedisResult[]> StatsAsync(CancellationToken cancellationToken) =>
        await _retry.RunAsync(
            () => EvaluateAsync(["stats"]), _options.RetryFor, _time.GetTimestamp(), cancellationToken).WaitAsync(cancellationToken).ConfigureAwait(false);

    private async Task<RedisAppendReply[]> AppendAsync(IReadOnlyList<RedisAppendRequest> requests, long since)
    {
        var arguments = new RedisValue[4 + requests.Sum(static request => 4 + request.Events.Length)];
        (arguments[0], arguments[1], arguments[2], arguments[3]) = ("append", _options.Capacity, _options.MaxKeys, Math.Max(_options.KeepPosts, 2 * AppendsACall));
        var at = 4;
        foreach (var request in requests)
        {
            (arguments[at++], arguments[at++]) = (request.Id, request.Key);
            (arguments[at++], arguments[at++]) = (request.Epoch is { } epoch ? epoch : "", request.Events.Length);
            request.Events.CopyTo(arguments, at);
            at += request.Events.Length;
        }
        var reply = await _retry.RunAsync(() => EvaluateAsync(arguments), _options.RetryFor, since, CancellationToken.None).ConfigureAwait(false);
        var replies = reply.Skip(1).Select(static one => new RedisAppendReply((int)one[0], long.Parse((string)one[1]!, CultureInfo.InvariantCulture))).ToArray();
        // Where something waited already, the owner reads on anyway.
        if ((int)reply[0] == 0 && replies.Any(static one => one.Code == RedisAppendReply.Taken)) _store.Ring(_bell);
        return replies;
    }

    // As long as the token allows: an owner's is cancelled when its lease cannot be renewed.
    private Task<RedisResult[]> CallAsync(CancellationToken cancellationToken, params RedisValue[] arguments) =>
        RetryAsync(() => EvaluateAsync(arguments), cancellationToken);

    private Task<T> RetryAsync<T>(Func<Task<T>> call, CancellationToken cancellationToken) =>
        _retry.RunAsync(call, Timeout.InfiniteTimeSpan, 0, cancellationToken).WaitAsync(cancellationToken);

    private async Task<RedisResult[]> EvaluateAsync(RedisValue[] arguments) =>
        (RedisResult[])(await s_script.EvaluateAsync(_redis.GetDatabase(), _keys, arguments).ConfigureAwait(false))!;
}

/// <summary>A post on its way into the log.</summary>
internal sealed record RedisAppendRequest(string Id, string Key, long? Epoch, RedisValue[] Events, int Weight)
{
    /// <param name="isAsked">Whether somebody waits until the last event is handled.</param>
    public static RedisAppendRequest Of(string id, PostRequest request, bool isAsked)
    {
        var trace = Activity.Current is { IsAllDataRequested: true, IdFormat: ActivityIdFormat.W3C, Id: { } parent } ? parent : "-";
        var (events, bytes) = (new RedisValue[request.Events.Count], 0);
        for (var i = 0; i < events.Length; i++)
        {
            var body = JsonMarshal.GetRawUtf8Value(request.Events[i].Body);
            var head = $"{request.Events[i].Handler} {request.Key} {(isAsked && i == events.Length - 1 ? 'a' : '-')} {trace} ";
            var entry = new byte[head.Length + body.Length];
            body.CopyTo(entry.AsSpan(Encoding.ASCII.GetBytes(head, entry)));
            (events[i], bytes) = (entry, bytes + entry.Length);
        }
        return new RedisAppendRequest(id, request.Key, request.Epoch, events, events.Length + (bytes / 1024));
    }
}

/// <summary>What the script said of a post.</summary>
/// <param name="Value">The last position, what waits, the number of keys or the epoch, by <paramref name="Code"/>.</param>
internal readonly record struct RedisAppendReply(int Code, long Value)
{
    public const int Taken = 1;
    public const int Known = 2;
    public const int Full = 0;
    public const int KeysFull = -1;
    public const int Fenced = -2;
}

/// <summary>An event as it stands in the log.</summary>
internal readonly record struct RedisLoggedEvent(long Position, string Handler, string Key, bool IsAsked, ActivityContext Trace, ReadOnlyMemory<byte> Body)
{
    public static RedisLoggedEvent Parse(byte[] entry)
    {
        ReadOnlyMemory<byte> rest = entry;
        var (position, handler, key, asked, trace) = (Next(ref rest), Next(ref rest), Next(ref rest), Next(ref rest), Next(ref rest));
        return new RedisLoggedEvent(
            long.Parse(position, CultureInfo.InvariantCulture), handler, key, asked == "a", ActivityContext.TryParse(trace, null, isRemote: true, out var context) ? context : default, rest);
    }

    private static string Next(ref ReadOnlyMemory<byte> rest)
    {
        var length = rest.Span.IndexOf((byte)' ');
        var word = Encoding.ASCII.GetString(rest.Span[..length]);
        rest = rest[(length + 1)..];
        return word;
    }
}

/// <summary>What a batch of turns changes.</summary>
/// <param name="Id">By which a retry is known.</param>
/// <param name="After">The id of the commit that it follows.</param>
/// <param name="Changes">States and timers by field; an empty value ends one.</param>
internal sealed record RedisCommit(string Id, string After, long From, long To, int Applied, int Dead, int Timers, int Slow, string? Slowest, string? Error, IReadOnlyDictionary<string, RedisValue> Changes);

internal readonly record struct RedisCommitment(CommitResult Result, int Keys);

internal enum CommitResult
{
    Kept,

    /// <summary>The epoch is over.</summary>
    Fenced,

    /// <summary>It does not follow the last one: data was lost, or another loop of this epoch was here.</summary>
    Moved,
}
