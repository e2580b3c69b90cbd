using System.Globalization;
using System.Text;
using System.Text.Json;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Redis;
using Microsoft.Extensions.Logging;
using StackExchange.Redis;

namespace DistributedPatterns.EventLoop.Engine;

/// <summary>The loop of a partition in the process that owns it under one epoch: reads events, handles them one at a time, keeps what came of them.</summary>
internal sealed partial class RedisPartitionOwner
{
    private const int CachedKeys = 10_000;

    private static readonly TimeSpan s_pauseAfterError = TimeSpan.FromSeconds(1);

    [ThreadStatic]
    private static bool s_isInTurn;

    private readonly RedisPartition _partition;
    private readonly LoopHandlerCatalog _handlers;
    private readonly RedisEventLoopOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _lost;
    private readonly CancellationTokenSource _stop = new();
    private readonly Dictionary<string, RedisStoredState?> _cache = new(StringComparer.Ordinal);
    private readonly OwnedTimers _timers;
    private readonly TurnContext _turn = new();
    private RedisTurnBatch _batch = new(0);
    private long _cursor;
    private string _commit = "";
    private int _keys;
    private int _offLoop;
    private bool _isOpen;

    public RedisPartitionOwner(RedisPartition partition, long epoch, TimeSpan lease, LoopHandlerCatalog handlers, RedisEventLoopOptions options, TimeProvider time, ILogger logger)
    {
        (_partition, Epoch, _handlers, _options, _time, _logger) = (partition, epoch, handlers, options, time, logger);
        _timers = new OwnedTimers(time);
        _lost = new CancellationTokenSource(lease, time);
    }

    /// <summary>Gets whether the caller is in a turn of some partition.</summary>
    public static bool IsInTurn => s_isInTurn;

    public int Partition => _partition.Number;

    public long Epoch { get; }

    public Task Running { get; private set; } = Task.CompletedTask;

    public bool IsStopping => _stop.IsCancellationRequested;

    public void Start() => Running = Task.Run(RunAsync);

    /// <summary>Moves the moment at which it stops by itself.</summary>
    public void Extend(TimeSpan lease)
    {
        if (lease > TimeSpan.Zero) _lost.CancelAfter(lease);
    }

    /// <summary>Stops it at once: what is not kept by now is another owner's to do.</summary>
    public void Lose() => _lost.Cancel();

    /// <summary>Ends it after the event in hand, with what was handled kept.</summary>
    public Task StopAsync()
    {
        _stop.Cancel();
        return Running;
    }

    private async Task RunAsync()
    {
        using var bell = _partition.ListenForEvents();
        while (!_stop.IsCancellationRequested && !_lost.IsCancellationRequested)
        {
            try
            {
                if (!await StepAsync(bell).ConfigureAwait(false)) return;
            }
            catch (OperationCanceledException) when (_lost.IsCancellationRequested)
            {
                return;
            }
            catch (Exception error) // nothing that a handler does comes here: a bug, or a server that answers nonsense. Another try is as good as giving up.
            {
                LogBroken(error, Partition, Epoch);
                _isOpen = false;
                await Task.Delay(s_pauseAfterError, _time, _lost.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    /// <returns>False once the epoch is over.</returns>
    private async Task<bool> StepAsync(RedisDoorbell.Listener bell)
    {
        if (!_isOpen && !await OpenAsync().ConfigureAwait(false)) return false;
        if (await _partition.ReadAsync(Epoch, _cursor, _lost.Token).ConfigureAwait(false) is not var (events, nowUs)) return Fenced();
        var due = _timers.TakeDue(_options.BatchSize);
        if (events.Count == 0 && due.Count == 0)
        {
            var wait = _timers.NextIn is { } next && next < _options.PollEvery ? next : _options.PollEvery;
            using var either = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token, _lost.Token);
            await bell.WaitAsync(wait, either.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            return true;
        }
        if (events.Count > 0) EventLoopTelemetry.Lag(Variants.Distributed, TimeSpan.FromMicroseconds(Math.Max(0, nowUs - events[0].Position)));
        using var activity = EventLoopTelemetry.StartBatch(Variants.Distributed, Partition, events.Where(e => e.Trace != default).Select(e => e.Trace));
        await LoadAsync(due.Select(timer => timer.Key).Concat(events.Select(e => e.Key))).ConfigureAwait(false);
        _batch = new RedisTurnBatch(_cursor);
        foreach (var timer in due) HandleTimer(timer);
        foreach (var e in events)
        {
            _lost.Token.ThrowIfCancellationRequested();
            if (_stop.IsCancellationRequested) break;
            HandleEvent(e);
        }
        return await KeepAsync().ConfigureAwait(false);
    }

    private async Task<bool> OpenAsync()
    {
        if (await _partition.OpenAsync(Epoch, _lost.Token).ConfigureAwait(false) is not var (cursor, keys, nowMs, commit)) return Fenced();
        (_cursor, _keys, _commit) = (cursor, keys, commit);
        _cache.Clear();
        _timers.Clear();
        foreach (var (field, value) in await _partition.ReadTimersAsync(_lost.Token).ConfigureAwait(false))
        {
            var cut = value.IndexOf(' ', StringComparison.Ordinal);
            _timers.Set(field, TimeSpan.FromMilliseconds(Math.Max(0, long.Parse(value.AsSpan(0, cut), CultureInfo.InvariantCulture) - nowMs)), value[(cut + 1)..]);
        }
        return _isOpen = true;
    }

    private async Task LoadAsync(IEnumerable<string> keys)
    {
        if (_cache.Count > CachedKeys) _cache.Clear();
        var missing = keys.Where(key => !_cache.ContainsKey(key)).Distinct(StringComparer.Ordinal).ToList();
        if (missing.Count == 0) return;
        var states = await _partition.ReadStatesAsync(missing, _lost.Token).ConfigureAwait(false);
        for (var i = 0; i < missing.Count; i++) _cache[missing[i]] = RedisStoredState.Parse(states[i]);
    }

    private void HandleEvent(RedisLoggedEvent e)
    {
        _batch.Advance(e.Position, e.IsAsked);
        if (Handle(e.Handler, e.Body, e.Key, e.Position, isPosted: true)) _batch.Applied++;
        else _batch.Dead++;
    }

    private void HandleTimer(OwnedTimers.Entry timer)
    {
        _batch.Change("t:" + timer.Field, RedisValue.EmptyString);
        _batch.Timers++;
        Handle(timer.Handler, Encoding.UTF8.GetBytes(timer.Body), timer.Key, _batch.To, isPosted: false);
    }

    /// <returns>Whether its outcome is to be kept.</returns>
    private bool Handle(string name, ReadOnlyMemory<byte> body, string key, long position, bool isPosted)
    {
        var since = _time.GetTimestamp();
        s_isInTurn = true;
        try
        {
            var handler = _handlers.Get(name);
            for (var attempt = 1; ; attempt++)
            {
                try
                {
                    Apply(handler, handler.ReadEvent(JsonElement.Parse(body.Span)), key, position, isPosted);
                    return true;
                }
                catch (Exception) when (attempt < handler.Options.MaxAttempts)
                {
                    // Once more; the last try's error counts.
                }
            }
        }
        catch (Exception error) // the event's own, whatever it is
        {
            _batch.Error = $"{key}: {name}: {error.Message}";
            EventLoopTelemetry.Dead(Variants.Distributed, name);
            LogDead(error, name, key, position);
            return false;
        }
        finally
        {
            s_isInTurn = false;
            if (_time.GetElapsedTime(since) is var took && took >= _options.SlowTurn) Slow(name, key, took);
        }
    }

    private void Apply(LoopHandler handler, object e, string key, long position, bool isPosted)
    {
        var before = _cache[key];
        var state = handler.Handle(before?.For(handler), e, _turn.Begin(key, position, Epoch));
        var after = state is null ? null : RedisStoredState.After(handler, state, (before?.Applied ?? 0) + (isPosted ? 1 : 0), isPosted ? position : before?.Position ?? 0);
        if (before is null && after is not null && _keys >= _options.MaxKeys) throw new InvalidOperationException($"There is no room for another key: {_options.MaxKeys:N0} have a state (MaxKeys).");
        if (_timers.Count + _turn.Timers.Length > _options.MaxKeys) throw new InvalidOperationException($"{_timers.Count:N0} timers are set, and as many as keys are allowed ({_options.MaxKeys:N0}, MaxKeys).");
        if (Volatile.Read(ref _offLoop) + _batch.OffLoop.Count + _turn.OffLoop.Length > _options.MaxOffLoop) throw new InvalidOperationException($"{_options.MaxOffLoop:N0} works run off the loop already (MaxOffLoop).");
        foreach (var timer in _turn.Timers)
            if (timer.Event is { } one) LoopRequests.Read(one, _handlers);
        var written = after?.Write() ?? RedisValue.EmptyString;

        // From here on nothing fails: the turn is kept as a whole.
        _keys += (after is null ? 0 : 1) - (before is null ? 0 : 1);
        _cache[key] = after;
        _batch.Change("s:" + key, written);
        foreach (var (name, delay, timer) in _turn.Timers) _batch.SetTimer($"{key} {name}", delay, timer);
        foreach (var work in _turn.OffLoop) _batch.OffLoop.Add((key, position, work));
    }

    private async Task<bool> KeepAsync()
    {
        var batch = _batch;
        if (batch.IsEmpty) return true;
        var kept = await _partition.CommitAsync(Epoch, batch.ToCommit(_cursor, _commit), _lost.Token).ConfigureAwait(false);
        switch (kept.Result)
        {
            case CommitResult.Fenced:
                return Fenced();
            case CommitResult.Moved:
                LogMoved(Partition, Epoch);
                _isOpen = false; // what was handled is thrown away
                return true;
        }
        (_cursor, _keys, _commit) = (batch.To, kept.Keys, batch.Id);
        foreach (var (field, delay, value) in batch.NewTimers)
        {
            if (value is null) _timers.Cancel(field);
            else _timers.Set(field, delay, value);
        }
        for (var i = 0; i < batch.OffLoop.Count; i++) RunOffLoop(batch.OffLoop[i], i);
        if (batch.IsAsked) _partition.RingHandled();
        return true;
    }

    private void RunOffLoop((string Key, long Position, OffLoopWork Work) work, int number)
    {
        Interlocked.Increment(ref _offLoop);
        // What goes wrong in it is logged there.
        _ = Task.Run(async () =>
        {
            try
            {
                var back = new PostRequest(work.Key, await work.Work(_lost.Token).ConfigureAwait(false));
                LoopRequests.Read(back, _handlers);
                var append = RedisAppendRequest.Of(string.Create(CultureInfo.InvariantCulture, $"o{Epoch}.{work.Position}.{number}"), back, isAsked: false);
                while ((await _partition.AppendAsync(append, _lost.Token).ConfigureAwait(false)).Code is RedisAppendReply.Full or RedisAppendReply.KeysFull)
                    await Task.Delay(_options.PollEvery, _time, _lost.Token).ConfigureAwait(false);
            }
            catch (Exception error) // whatever the work throws: it is its own, and does not come back
            {
                LogLostWork(error, work.Key);
            }
            finally
            {
                Interlocked.Decrement(ref _offLoop);
            }
        });
    }

    private void Slow(string handler, string key, TimeSpan took)
    {
        _batch.AddSlow(handler, took);
        EventLoopTelemetry.Slow(Variants.Distributed, handler);
        LogSlow(handler, key, took, _options.SlowTurn);
    }

    private bool Fenced()
    {
        EventLoopTelemetry.Fenced(Variants.Distributed);
        LogFenced(Partition, Epoch);
        return false;
    }

    [LoggerMessage(LogLevel.Warning, "Handler {Handler} held its partition up with key {Key} for {Turn}, and {Limit} is the limit: let it do that off the loop")]
    private partial void LogSlow(string handler, string key, TimeSpan turn, TimeSpan limit);

    [LoggerMessage(LogLevel.Warning, "Handler {Handler} could not handle the event of key {Key} at {Position}; its state is as before")]
    private partial void LogDead(Exception error, string handler, string key, long position);

    [LoggerMessage(LogLevel.Warning, "Work off the loop for key {Key} did not come back")]
    private partial void LogLostWork(Exception error, string key);

    [LoggerMessage(LogLevel.Warning, "Epoch {Epoch} of partition {Partition} is over; what it had not kept is its next owner's to do")]
    private partial void LogFenced(int partition, long epoch);

    [LoggerMessage(LogLevel.Warning, "Partition {Partition} is not where epoch {Epoch} left it; it is read anew")]
    private partial void LogMoved(int partition, long epoch);

    [LoggerMessage(LogLevel.Error, "Partition {Partition} is stuck under epoch {Epoch}; it is opened anew")]
    private partial void LogBroken(Exception error, int partition, long epoch);
}
