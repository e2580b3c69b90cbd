using System.Globalization;
using DistributedPatterns.Redis;
using Microsoft.Extensions.Logging;
using StackExchange.Redis;

namespace DistributedPatterns.ResourcePooling.Engine;

/// <summary>This process's side of the permits: those it holds, those it waits for, and the one task that keeps both.</summary>
/// <remarks>
/// Every answer of the server lists all that this process holds, so none is lost with an answer: a permit that nobody here waits for any more is given
/// back. The task renews three times in a lease and at each doorbell; no work can hold it up.
/// </remarks>
internal sealed partial class RedisPermits<T> : IPermitSource<T>, IAsyncDisposable where T : class
{
    private const int MaxTogether = 1_024;
    private static readonly TimeSpan s_pollInLine = TimeSpan.FromMilliseconds(250);

    private readonly Lock _gate = new();
    private readonly SortedDictionary<long, Waiting> _line = []; // by ticket
    private readonly HashSet<long> _left = []; // tickets that the server may still have in line
    private readonly HashSet<long> _held = []; // by ticket
    private readonly HashSet<long> _releasing = []; // by ticket
    private readonly HashSet<int> _passing = []; // by number: what is open under these may be handed on
    private readonly CancellationTokenSource _stop = new();
    private readonly RedisPermitScript _script;
    private readonly RedisPermitPoolOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly string _pool;
    private readonly RedisRetry _retry;
    // The script looks at everything in each call, so callers that come at the same time share one. One goes after the other:
    // a call that lines a ticket up must not arrive after the one that says that its caller has left.
    private readonly CallBatcher<PermitSession, RedisPermitReply?> _beats;
    private readonly CallBatcher<HeldPermit, bool> _releases;
    private volatile PermitSession? _session; // null until the server has let this process in
    private RedisDoorbell.Listener? _bell;
    private Task _losing = Task.CompletedTask;
    private Task _caring = Task.CompletedTask;
    private Task? _keeping;
    private long _ticket;
    private (PermitSession Session, long Generation)? _generation;
    private volatile string _lastSeen = "Redis has not answered yet.";

    public RedisPermits(IConnectionMultiplexer redis, string pool, RedisPermitPoolOptions options, TimeProvider time, ILogger logger)
    {
        (_pool, _options, _time, _logger) = (pool, options, time, logger);
        _retry = new RedisRetry(time);
        _beats = new(MaxTogether, MaxTogether, static _ => 1, time, async (sessions, _) =>
        {
            var reply = await BeatAsync(sessions[^1]).ConfigureAwait(false);
            return [.. Enumerable.Repeat(reply, sessions.Count)];
        });
        _releases = new(MaxTogether, MaxTogether, static _ => 1, time, async (permits, _) =>
        {
            foreach (var stay in permits.GroupBy(permit => permit.Session)) await ReleaseAsync(stay.Key, [.. stay]).ConfigureAwait(false);
            return new bool[permits.Count];
        });
        _script = new RedisPermitScript(redis, pool, options, time);
    }

    /// <summary>Gets or sets the pool whose resources these permits are for.</summary>
    public ChannelResourcePool<T> Pool { get; set; } = null!;

    public string Describe() => _lastSeen;

    public async ValueTask<Grant<T>?> AcquireAsync(TimeSpan limit, CancellationToken cancellationToken)
    {
        Waiting waiting;
        PermitSession? session;
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_stop.IsCancellationRequested, this);
            waiting = new Waiting(++_ticket);
            _line.Add(waiting.Ticket, waiting);
            session = _session;
            Pool.SetWanted(true); // until an answer says that nobody waits
            Begin();
        }
        // Who does not want to wait gets one answer all the same, or there would be none to give.
        using var time = new CancellationTokenSource(limit > TimeSpan.Zero ? limit : _options.RenewEvery, _time);
        using var any = CancellationTokenSource.CreateLinkedTokenSource(time.Token, cancellationToken, _stop.Token);
        try
        {
            // The call has limits of its own, which are not the caller's.
            if (session is not null) await Task.WhenAny(waiting.Task, _beats.AddAsync(session, CancellationToken.None)).WaitAsync(any.Token).ConfigureAwait(false);
            // Without a session the task begins one, and lines up for everybody; with one it looks more often from now on.
            if (!waiting.Task.IsCompleted && limit > TimeSpan.Zero) _bell?.Ring();
            if (limit <= TimeSpan.Zero && session is not null) await time.CancelAsync().ConfigureAwait(false);
            return await waiting.Task.WaitAsync(any.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            bool isMine;
            lock (_gate)
            {
                isMine = !_line.Remove(waiting.Ticket);
                if (!isMine) _left.Add(waiting.Ticket);
                session = _session;
            }
            if (isMine) return await waiting.Task.ConfigureAwait(false); // it came at the last moment
            if (session is not null) _ = _beats.AddAsync(session, CancellationToken.None);
            cancellationToken.ThrowIfCancellationRequested();
            ObjectDisposedException.ThrowIf(_stop.IsCancellationRequested, this);
            return null;
        }
    }

    public async ValueTask<Turn> PassAsync(ResourceSlot<T> slot)
    {
        while (true)
        {
            var permit = slot.Permit!;
            // From here on no other answer may give this permit to anybody: what is open under it is here.
            lock (_gate) _passing.Add(permit.Number);
            var sentAt = _time.GetTimestamp();
            if (await AskToPassAsync(permit).ConfigureAwait(false) is not { } reply) return Turn.Elsewhere;
            var turn = Settle(slot, permit, reply);
            Apply(permit.Session, reply, sentAt);
            if (turn is { } known) return known;
        }
    }

    public async ValueTask ReleaseAsync(HeldPermit permit)
    {
        lock (_gate)
        {
            _held.Remove(permit.Ticket);
            _passing.Remove(permit.Number);
            _releasing.Add(permit.Ticket);
        }
        await _releases.AddAsync(permit, CancellationToken.None).ConfigureAwait(false);
    }

    public async ValueTask ClearAsync(CancellationToken cancellationToken)
    {
        var id = Guid.NewGuid().ToString("N");
        while (true)
        {
            // Only who is let in may begin a generation.
            var session = await JoinedAsync(cancellationToken).ConfigureAwait(false);
            var reply = await _script.CallAsync("clear", session.Instance, id).WaitAsync(cancellationToken).ConfigureAwait(false);
            if (reply.Answer == RedisPermitReply.IsOver) continue;
            await FollowGenerationAsync(session, reply.Generation).ConfigureAwait(false);
            return;
        }
    }

    public async ValueTask<PermitStats> GetStatsAsync(CancellationToken cancellationToken) => await _script.StatsAsync().WaitAsync(cancellationToken).ConfigureAwait(false);

    /// <summary>Ends the stay. The pool is closed by then, and has given its permits back.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        if (_keeping is not null) await _keeping.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await Task.WhenAll(_losing, _caring).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (_session is { } session)
        {
            try
            {
                await _script.CallAsync("leave", session.Instance).WaitAsync(_options.Lease, _time).ConfigureAwait(false);
            }
            catch (Exception e) when (IsNoAnswer(e))
            {
                LogNotLeft(_pool, _options.Lease, e.Message);
            }
            session.Dispose();
        }
        await _script.DisposeAsync().ConfigureAwait(false);
        _stop.Dispose();
    }

    private void Begin() => _keeping ??= Task.Run(() => KeepAsync(_stop.Token), CancellationToken.None);

    private async Task KeepAsync(CancellationToken stop)
    {
        using var bell = _bell = _script.Listen();
        while (!stop.IsCancellationRequested)
        {
            var session = _session;
            if (session is null || session.IsOver) session = await JoinAsync().ConfigureAwait(false);
            if (session is not null)
            {
                var reply = await _beats.AddAsync(session, CancellationToken.None).ConfigureAwait(false);
                // Not on this task's own time: closing a resource may take as long as it likes.
                if (reply is not null && _caring.IsCompleted) _caring = Task.Run(() => CareAsync(session, reply), CancellationToken.None);
            }
            bool inLine;
            lock (_gate) inLine = _line.Count > 0;
            var pause = inLine && s_pollInLine < _options.RenewEvery ? s_pollInLine : _options.RenewEvery;
            await bell.WaitAsync(pause, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Clears the pool if others have, and offers idle resources to those who wait.</summary>
    private async Task CareAsync(PermitSession session, RedisPermitReply reply)
    {
        await FollowGenerationAsync(session, reply.Generation).ConfigureAwait(false);
        if (reply.Waiting > 0) await Pool.OfferIdleAsync(reply.Waiting).ConfigureAwait(false);
    }

    private async Task<PermitSession?> JoinAsync()
    {
        var instance = Guid.NewGuid().ToString("N");
        var sentAt = _time.GetTimestamp();
        try
        {
            await _script.CallAsync("join", instance).ConfigureAwait(false);
        }
        catch (Exception e) when (IsNoAnswer(e))
        {
            LogNoAnswer(_pool, e.Message);
            _lastSeen = $"Redis does not answer: {e.Message}";
            return null; // if it did let us in, the lease of that stay runs out by itself
        }
        var session = new PermitSession(instance, _options.LocalLease, sentAt, _time, Lose);
        lock (_gate)
        {
            _left.Clear();
            _held.Clear();
            _passing.Clear();
            _releasing.Clear();
            _session = session;
        }
        return session;
    }

    private void Lose(PermitSession session)
    {
        if (_stop.IsCancellationRequested) return;
        LogLost(_pool, session.Instance);
        _losing = Task.Run(() => Pool.DoubtAsync(slot => slot.Permit?.Session == session, Doubts.Lost));
        _bell?.Ring();
    }

    private async ValueTask<PermitSession> JoinedAsync(CancellationToken cancellationToken)
    {
        lock (_gate) Begin();
        while (true)
        {
            if (_session is { IsOver: false } session) return session;
            await Task.Delay(TimeSpan.FromMilliseconds(10), _time, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Renews, lines up for all who wait here, and takes those out of line who have left.</summary>
    private async Task<RedisPermitReply?> BeatAsync(PermitSession session)
    {
        long[] inLine, left;
        lock (_gate) (inLine, left) = ([.. _line.Keys], [.. _left]);
        var sentAt = _time.GetTimestamp();
        try
        {
            var reply = await _script.CallAsync("beat", session.Instance, [.. inLine.Concat(left.Select(ticket => -ticket)).Select(ticket => (RedisValue)ticket)]).ConfigureAwait(false);
            lock (_gate) _left.ExceptWith(left);
            Apply(session, reply, sentAt);
            return reply;
        }
        catch (Exception e) when (IsNoAnswer(e))
        {
            // The lease runs on by itself, to its end if need be.
            LogNoAnswer(_pool, e.Message);
            _lastSeen = $"Redis does not answer: {e.Message}";
            return null;
        }
    }

    /// <summary>Learns from an answer what this process holds by now.</summary>
    private void Apply(PermitSession session, RedisPermitReply reply, long sentAt)
    {
        if (reply.Answer == RedisPermitReply.IsOver)
        {
            session.End();
            return;
        }
        session.Renewed(sentAt);
        _lastSeen = string.Create(CultureInfo.InvariantCulture,
            $"Over all processes {reply.Held} of {_options.Permits} permits are out and {reply.Waiting} wait. Raise Permits, hold resources for a shorter time, or look for a leak.");
        List<HeldPermit> orphans = [];
        lock (_gate)
        {
            if (session != _session) return;
            foreach (var (number, ticket, token) in reply.Mine)
            {
                if (_passing.Contains(number)) continue; // the answer to that decides
                if (_line.Remove(ticket, out var waiting))
                {
                    _held.Add(ticket);
                    waiting.TrySetResult(new Grant<T>(new HeldPermit(number, token, ticket, session)));
                }
                else if (!_held.Contains(ticket) && _releasing.Add(ticket))
                {
                    orphans.Add(new HeldPermit(number, token, ticket, session));
                }
            }
            Pool.SetWanted(reply.Waiting > 0 || _line.Count > 0);
        }
        foreach (var orphan in orphans) _ = _releases.AddAsync(orphan, CancellationToken.None);
    }

    private async Task<RedisPermitReply?> AskToPassAsync(HeldPermit permit)
    {
        try
        {
            return await _retry.RunAsync(
                () => _script.CallAsync("pass", permit.Session.Instance, permit.Number, permit.Token), _options.LocalLease, _time.GetTimestamp(), permit.Lost).ConfigureAwait(false);
        }
        catch (Exception e) when (IsNoAnswer(e) || permit.IsLost)
        {
            return null; // whatever it did: close what is open first
        }
    }

    /// <summary>Does what the answer to a pass says.</summary>
    /// <returns>Nothing when the caller that it went to has left meanwhile, and it is to be asked again.</returns>
    private Turn? Settle(ResourceSlot<T> slot, HeldPermit permit, RedisPermitReply reply)
    {
        lock (_gate)
        {
            if (reply.Answer == RedisPermitReply.NobodyWaits)
            {
                _passing.Remove(permit.Number);
                return Turn.Keep;
            }
            var (number, ticket, token) = reply.Mine.FirstOrDefault(mine => mine.Number == permit.Number);
            if (token == permit.Token || token == 0) return Turn.Elsewhere;
            // Also when the answer is that it is not held any more: an earlier call did it, whose answer was lost.
            _held.Remove(permit.Ticket);
            _held.Add(ticket);
            _passing.Remove(number);
            var next = new HeldPermit(number, token, ticket, permit.Session);
            if (_line.Remove(ticket, out var waiting))
            {
                slot.Permit = null;
                waiting.TrySetResult(new Grant<T>(next, slot.Empty()));
                return Turn.Passed;
            }
            slot.Permit = next;
            return null;
        }
    }

    private async Task FollowGenerationAsync(PermitSession session, long generation)
    {
        (PermitSession Session, long Generation)? before;
        lock (_gate)
        {
            // It rises within a stay, so a lower one is an answer that comes late. Redis begins anew without its data, which ends all stays.
            before = _generation;
            if (before is { } last && last.Session == session && last.Generation > generation) return;
            _generation = (session, generation);
        }
        if (before is { } known && known.Generation != generation) await Pool.ClearHereAsync().ConfigureAwait(false);
    }

    private async Task ReleaseAsync(PermitSession session, List<HeldPermit> permits)
    {
        var sentAt = _time.GetTimestamp();
        try
        {
            var reply = await _script.CallAsync("release", session.Instance, [.. permits.SelectMany(permit => (RedisValue[])[permit.Number, permit.Token])]).ConfigureAwait(false);
            if (reply.Answer is RedisPermitReply.NotHeld or RedisPermitReply.IsOver) PoolTelemetry.Fenced(_pool);
            Apply(session, reply, sentAt);
        }
        catch (Exception e) when (IsNoAnswer(e))
        {
            // The next answer lists them, and then they are given back again.
        }
        lock (_gate)
            foreach (var permit in permits) _releasing.Remove(permit.Ticket);
    }

    // A server's refusal, too: whoever waits is told by the counts of the exception, and the next beat tries again.
    private static bool IsNoAnswer(Exception error) => error is RedisException or TimeoutException or ObjectDisposedException;

    [LoggerMessage(LogLevel.Warning, "Pool {Pool} gets no answer from Redis: {Reason}")]
    private partial void LogNoAnswer(string pool, string reason);

    [LoggerMessage(LogLevel.Warning, "Pool {Pool} lost the lease of its stay {Instance}, with all permits: this process was frozen or cut off")]
    private partial void LogLost(string pool, string instance);

    [LoggerMessage(LogLevel.Warning, "Pool {Pool} could not say goodbye; its permits are free after {Lease}: {Reason}")]
    private partial void LogNotLeft(string pool, TimeSpan lease, string reason);

    private sealed class Waiting(long ticket) : TaskCompletionSource<Grant<T>>(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        public long Ticket => ticket;
    }
}
