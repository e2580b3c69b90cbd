using System.Collections.Concurrent;
using DistributedPatterns.Diagnostics;
using Microsoft.Extensions.Logging;

namespace DistributedPatterns.EventLoop.Engine;

/// <summary>One partition of the loop in process: its keys, their states and timers, and the loop that alone changes them.</summary>
internal sealed partial class ChannelLane : ITurnTimings<LaneTurn>
{
    private readonly int _number;
    private readonly ChannelEventLoopOptions _options;
    private readonly LoopHandlerCatalog _handlers;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly TurnLoop<LaneTurn> _loop;
    private readonly TurnSource<LaneTurn> _posts;
    private readonly TurnSource<LaneTurn> _returns;
    private readonly ConcurrentDictionary<string, KeyEntry> _keys = new(StringComparer.Ordinal); // changed on the loop alone
    private readonly Dictionary<(string Key, string Name), IDisposable> _timers = [];
    private readonly TurnContext _turn = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly PostMemory _memory;
    private readonly long _epoch;
    private LaneCounts _counts = new();
    private SlowTurn? _slowest;
    private string? _lastError;
    private LoopHandler? _inTurn;
    private long _turnSince;
    private long _lagTicks;
    private long _position;
    private long _duplicates;
    private long _refused;
    private long _fenced;
    private long _offLoop;

    public ChannelLane(int number, long epoch, ChannelEventLoopOptions options, LoopHandlerCatalog handlers, TimeProvider time, ILogger logger)
    {
        (_number, _epoch, _options, _handlers, _time, _logger) = (number, epoch, options, handlers, time, logger);
        _memory = new PostMemory(options.KeepPosts);
        _loop = new TurnLoop<LaneTurn>(Handle, static (_, _) => { }, time, this);
        _posts = _loop.AddSource(options.Capacity, options.PostWeight);
        _returns = _loop.AddSource(options.MaxOffLoop, options.ReturnWeight);
    }

    public bool IsInTurn => _loop.IsInTurn;

    public async ValueTask<PostReceipt> PostAsync(PostRequest request, ReadEvent[] events, OutcomeSource? asked, CancellationToken cancellationToken)
    {
        if (request.Epoch is { } wanted && wanted != _epoch)
        {
            Interlocked.Increment(ref _fenced);
            throw new PartitionFencedException(_number, wanted, _epoch);
        }
        var turns = new LaneTurn[events.Length];
        for (var i = 0; i < turns.Length; i++) turns[i] = new LaneTurn(events[i], request.Key, LaneTurnKind.Post, i == turns.Length - 1 ? asked : null, null);
        if (_keys.Count >= _options.MaxKeys && !_keys.ContainsKey(request.Key))
        {
            Interlocked.Increment(ref _refused);
            throw new EventLoopFullException(_number, "keys", _keys.Count, _options.MaxKeys, TimeSpan.Zero, "Raise MaxKeys, or end keys that are done.");
        }
        if (!_posts.TryPost(turns, out var position)) position = await WaitForRoomAsync(turns, cancellationToken).ConfigureAwait(false);
        return new PostReceipt(_number, position, IsNew: true);
    }

    /// <summary>Posts under an id: once, however many call.</summary>
    public async ValueTask<(PostReceipt Receipt, OutcomeSource Outcome)> PostOnceAsync(PostRequest request, ReadEvent[] events, CancellationToken cancellationToken)
    {
        var (post, isNew) = _memory.Remember(request.Id!);
        if (!isNew)
        {
            try
            {
                var known = await post.Receipt.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
                Interlocked.Increment(ref _duplicates);
                return (known with { IsNew = false }, post.Outcome);
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                // The caller that came first left while it waited for room: now it is this one's to post.
                return await PostOnceAsync(request, events, cancellationToken).ConfigureAwait(false);
            }
        }
        try
        {
            var receipt = await PostAsync(request, events, post.Outcome, cancellationToken).ConfigureAwait(false);
            post.Receipt.SetResult(receipt);
            return (receipt, post.Outcome);
        }
        catch (Exception error)
        {
            _memory.Forget(request.Id!);
            if (error is OperationCanceledException) post.Receipt.SetCanceled(CancellationToken.None);
            else post.Receipt.SetException(error);
            _ = post.Receipt.Task.Exception; // who waits beside this caller has it; nobody has to
            throw;
        }
    }

    public KeyState? Find(string key) => _keys.TryGetValue(key, out var entry) ? entry.Show(key, _number) : null;

    public PartitionStatus Read()
    {
        // What was counted first: it had been posted by then, and the rest waits or is in its turn.
        var counts = Volatile.Read(ref _counts);
        var posted = _posts.Posted + _returns.Posted;
        var slowest = _slowest;
        if (Volatile.Read(ref _inTurn) is { } handler && _time.GetElapsedTime(Volatile.Read(ref _turnSince)) is var running
            && running >= _options.SlowTurn && running >= (slowest?.Took ?? default)) slowest = new SlowTurn(handler.Name, running);
        return new PartitionStatus(
            _number, _epoch, _options.Name, null, _keys.Count, TimeSpan.FromTicks(Volatile.Read(ref _lagTicks)), slowest, _lastError,
            new EventLedger(posted, counts.Applied, counts.Dead, posted - counts.Applied - counts.Dead),
            new EventCounters(Interlocked.Read(ref _duplicates), Interlocked.Read(ref _refused), Interlocked.Read(ref _fenced), counts.Timers, counts.Slow));
    }

    public async Task<int> StopAsync(TimeSpan limit)
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        return await _loop.StopAsync(limit).ConfigureAwait(false);
    }

    void ITurnTimings<LaneTurn>.Waited(TimeSpan lag)
    {
        Volatile.Write(ref _lagTicks, lag.Ticks);
        EventLoopTelemetry.Lag(Variants.Channel, lag);
    }

    void ITurnTimings<LaneTurn>.Took(LaneTurn e, TimeSpan turn)
    {
        Volatile.Write(ref _inTurn, null);
        if (turn < _options.SlowTurn) return;
        var name = e.Event.Handler.Name;
        if (turn >= (_slowest?.Took ?? default)) _slowest = new SlowTurn(name, turn);
        Volatile.Write(ref _counts, _counts with { Slow = _counts.Slow + 1 });
        EventLoopTelemetry.Slow(Variants.Channel, name);
        LogSlow(name, e.Key, turn, _options.SlowTurn);
    }

    private void Handle(LaneTurn e)
    {
        Volatile.Write(ref _turnSince, _time.GetTimestamp());
        Volatile.Write(ref _inTurn, e.Event.Handler);
        if (e.Kind == LaneTurnKind.Post) _position++;
        if (e.Timer is not null) _timers.Remove((e.Key, e.Timer));
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                Apply(e);
                break;
            }
            catch (Exception error) // the event's own, whatever it is
            {
                if (attempt < e.Event.Handler.Options.MaxAttempts) continue;
                Bury(e, error);
                break;
            }
        }
    }

    private void Apply(LaneTurn e)
    {
        var handler = e.Event.Handler;
        _keys.TryGetValue(e.Key, out var before);
        var state = handler.Handle(before?.StateFor(handler), e.Event.Body, _turn.Begin(e.Key, _position, _epoch));
        if (before is null && state is not null && _keys.Count >= _options.MaxKeys) throw new InvalidOperationException($"There is no room for another key: {_options.MaxKeys:N0} have a state (MaxKeys).");
        var timers = ReadTimers();
        if (Volatile.Read(ref _offLoop) + _turn.OffLoop.Length > _options.MaxOffLoop) throw new InvalidOperationException($"{_options.MaxOffLoop:N0} works run off the loop already (MaxOffLoop).");

        var after = state is null ? null : new KeyEntry(handler, state, (before?.Applied ?? 0) + (e.Kind == LaneTurnKind.Timer ? 0 : 1), _position);
        var shown = e.Asked is null ? null : after?.Show(e.Key, _number) ?? new KeyState(e.Key, _number, 0, _position, null);

        // From here on nothing fails: the turn is kept as a whole.
        if (after is null) _keys.TryRemove(e.Key, out _);
        else _keys[e.Key] = after;
        for (var i = 0; i < timers.Length; i++) Set(e.Key, _turn.Timers[i].Name, _turn.Timers[i].Delay, timers[i]);
        foreach (var work in _turn.OffLoop) RunOffLoop(e.Key, work);
        Volatile.Write(ref _counts, e.Kind == LaneTurnKind.Timer ? _counts with { Timers = _counts.Timers + 1 } : _counts with { Applied = _counts.Applied + 1 });
        e.Asked?.TrySetResult(new Outcome(shown, null));
    }

    private void Bury(LaneTurn e, Exception error)
    {
        var name = e.Event.Handler.Name;
        _lastError = $"{e.Key}: {name}: {error.Message}";
        if (e.Kind != LaneTurnKind.Timer) Volatile.Write(ref _counts, _counts with { Dead = _counts.Dead + 1 });
        else Volatile.Write(ref _counts, _counts with { Timers = _counts.Timers + 1 });
        EventLoopTelemetry.Dead(Variants.Channel, name);
        LogDead(error, name, e.Key);
        e.Asked?.TrySetResult(new Outcome(null, error));
    }

    private ReadEvent?[] ReadTimers()
    {
        if (_turn.Timers.IsEmpty) return [];
        var read = new ReadEvent?[_turn.Timers.Length];
        for (var i = 0; i < read.Length; i++) read[i] = _turn.Timers[i].Event is { } e ? LoopRequests.Read(e, _handlers) : null;
        if (_timers.Count + read.Length > _options.MaxKeys) throw new InvalidOperationException($"{_timers.Count:N0} timers are set, and as many as keys are allowed ({_options.MaxKeys:N0}, MaxKeys).");
        return read;
    }

    private void Set(string key, string name, TimeSpan delay, ReadEvent? e)
    {
        if (_timers.Remove((key, name), out var last)) last.Dispose();
        if (e is { } read) _timers[(key, name)] = _loop.After(delay, new LaneTurn(read, key, LaneTurnKind.Timer, null, name));
    }

    private void RunOffLoop(string key, OffLoopWork work)
    {
        Interlocked.Increment(ref _offLoop);
        // What goes wrong in it is counted there.
        _ = Task.Run(async () =>
        {
            try
            {
                var back = await work(_stop.Token).ConfigureAwait(false);
                await _returns.PostAsync(new LaneTurn(LoopRequests.Read(back, _handlers), key, LaneTurnKind.Return, null, null), _stop.Token).ConfigureAwait(false);
            }
            catch (Exception error) // whatever the work throws: it is its own, and does not come back
            {
                _lastError = $"{key}: off the loop: {error.Message}";
                LogLost(error, key);
            }
            finally
            {
                Interlocked.Decrement(ref _offLoop);
            }
        });
    }

    private async Task<long> WaitForRoomAsync(LaneTurn[] turns, CancellationToken cancellationToken)
    {
        if (_options.WhenFull == LoopFullPolicy.Reject || _options.FullWait == TimeSpan.Zero) throw Full(TimeSpan.Zero);
        if (_options.FullWait is not { } wait) return await _posts.PostAsync(turns, cancellationToken).ConfigureAwait(false);
        using var limit = new CancellationTokenSource(wait, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, limit.Token);
        try
        {
            return await _posts.PostAsync(turns, either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            cancellationToken.ThrowIfCancellationRequested();
            throw Full(wait);
        }
    }

    private EventLoopFullException Full(TimeSpan waited)
    {
        Interlocked.Increment(ref _refused);
        return new(_number, "events", _posts.Count, _options.Capacity, waited, "Raise Capacity, or post slower.");
    }

    [LoggerMessage(LogLevel.Warning, "Handler {Handler} held its loop up with key {Key} for {Turn}, and {Limit} is the limit: let it do that off the loop")]
    private partial void LogSlow(string handler, string key, TimeSpan turn, TimeSpan limit);

    [LoggerMessage(LogLevel.Warning, "Handler {Handler} could not handle an event of key {Key}; its state is as before")]
    private partial void LogDead(Exception error, string handler, string key);

    [LoggerMessage(LogLevel.Warning, "Work off the loop for key {Key} did not come back")]
    private partial void LogLost(Exception error, string key);
}

/// <summary>What waits for its turn in a lane.</summary>
internal readonly record struct LaneTurn(ReadEvent Event, string Key, LaneTurnKind Kind, OutcomeSource? Asked, string? Timer);

internal enum LaneTurnKind
{
    Post,
    Return,
    Timer,
}

/// <summary>What the loop of a lane has counted; replaced as a whole, so that a reading is of one moment.</summary>
internal sealed record LaneCounts(long Applied = 0, long Dead = 0, long Timers = 0, long Slow = 0);

/// <summary>How an event's turn ended.</summary>
internal readonly record struct Outcome(KeyState? State, Exception? Error);

internal sealed class OutcomeSource() : TaskCompletionSource<Outcome>(TaskCreationOptions.RunContinuationsAsynchronously);
