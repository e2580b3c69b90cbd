using System.Collections.Concurrent;
using DistributedPatterns.Redis;
using Microsoft.Extensions.Logging;

namespace DistributedPatterns.ProducerConsumer;

/// <summary>Renews every lease that this process holds of a queue: one task, one call for all, never on the path of the work.</summary>
/// <remarks>
/// A holder is told to stop at the monotonic time of sending the last renewal that succeeded, plus lease, minus margin, whatever the call
/// that is under way does then. Server time and local time are never compared.
/// </remarks>
internal sealed partial class LeaseKeeper(
    RedisQueueScript script, RedisDoorbell doorbell, RedisWorkQueueOptions options, TimeProvider clock, ILogger logger) : IAsyncDisposable
{
    private const int MaxPerCall = 500;

    private readonly ConcurrentDictionary<Delivery, byte> _held = new(ReferenceEqualityComparer.Instance);
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _gate = new();
    private readonly TimeSpan _every = options.Lease / 3;
    private readonly TimeSpan _tick = TimeSpan.FromTicks(Math.Max((options.Margin / 2).Ticks, TimeSpan.FromMilliseconds(5).Ticks));
    private readonly List<Task> _signals = [];
    private Task? _loop;
    private Task _renewing = Task.CompletedTask;
    private bool _away;

    /// <summary>Gets what this process holds now.</summary>
    public ICollection<Delivery> Held => _held.Keys;

    /// <summary>Keeps a lease from now on.</summary>
    /// <param name="delivery">What was handed out.</param>
    /// <param name="sent">When the call was sent that handed it out.</param>
    /// <param name="left">How long its lease ran by the answer.</param>
    public void Hold(Delivery delivery, long sent, TimeSpan left)
    {
        delivery.HeldUntil = Deadline(sent, left);
        _held[delivery] = 0;
        if (_loop is not null) return;
        lock (_gate) _loop ??= _stop.IsCancellationRequested ? Task.CompletedTask : RunAsync(_stop.Token);
    }

    public void Drop(Delivery delivery) => _held.TryRemove(delivery, out _);

    /// <summary>Keeps a lease no more, and waits for a renewal that may be on its way with it.</summary>
    public Task DropAsync(Delivery delivery)
    {
        Drop(delivery);
        lock (_gate) return _renewing;
    }

    public async ValueTask DisposeAsync()
    {
        Task? loop;
        lock (_gate)
        {
            _stop.Cancel();
            loop = _loop;
        }
        if (loop is not null) await loop.ConfigureAwait(false);
        foreach (var delivery in _held.Keys) Lose(delivery);
        Task[] signals;
        lock (_gate) signals = [.. _signals];
        await Task.WhenAll(signals).ConfigureAwait(false);
    }

    private async Task RunAsync(CancellationToken stop)
    {
        await Task.Yield();
        using var bell = doorbell.Listen(RedisQueueScript.CancelBell);
        var last = clock.GetTimestamp();
        try
        {
            while (true)
            {
                var isRung = await bell.RingsAsync(_tick, stop).ConfigureAwait(false);
                LoseWhatRanOut();
                if (!_renewing.IsCompleted || (!isRung && clock.GetElapsedTime(last) < _every)) continue;
                last = clock.GetTimestamp();
                lock (_gate) _renewing = RenewAsync(); // which sees what it renews before it first waits
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            await _renewing.ConfigureAwait(false);
        }
    }

    private void LoseWhatRanOut()
    {
        var now = clock.GetTimestamp();
        foreach (var delivery in _held.Keys)
            if (now >= delivery.HeldUntil) Lose(delivery);
        lock (_gate) _signals.RemoveAll(static signal => signal.IsCompleted);
    }

    private async Task RenewAsync()
    {
        try
        {
            foreach (var held in _held.Keys.Chunk(MaxPerCall))
            {
                var sent = clock.GetTimestamp();
                var outcomes = await script.SettleAsync(Array.ConvertAll(held, one => Settlement.Extend(one, options.Lease)), TimeSpan.Zero, sent).ConfigureAwait(false);
                for (var i = 0; i < held.Length; i++) Note(held[i], outcomes[i], sent);
            }
            if (_away) LogBack();
            _away = false;
        }
        catch (Exception e) when (RedisRetry.IsOutage(e))
        {
            if (!_away) LogAway(_held.Count, e.Message);
            _away = true;
        }
        catch (Exception e)
        {
            // The loop must go on: without it no holder would ever learn that it lost its lease.
            LogFailed(e);
        }
    }

    private void Note(Delivery delivery, SettleOutcome outcome, long sent)
    {
        if (outcome is SettleOutcome.Settled or SettleOutcome.Cancelled)
        {
            delivery.HeldUntil = Deadline(sent, options.Lease);
            if (outcome == SettleOutcome.Cancelled) Signal(delivery.RequestCancelAsync());
        }
        else if (!delivery.HasEnded && Volatile.Read(ref delivery.Settling) == 0)
        {
            Lose(delivery);
        }
    }

    private void Lose(Delivery delivery)
    {
        if (!_held.TryRemove(delivery, out _)) return;
        LogLost(delivery.Id, delivery.Token);
        Signal(delivery.LoseAsync());
    }

    private void Signal(Task listeners)
    {
        if (!listeners.IsCompletedSuccessfully) lock (_gate) _signals.Add(ObserveAsync(listeners));
    }

    // Whoever registered on the token runs code of its own; what that throws must not stop the renewals.
    private async Task ObserveAsync(Task listeners)
    {
        try
        {
            await listeners.ConfigureAwait(false);
        }
        catch (Exception e)
        {
            LogListenerFailed(e);
        }
    }

    private long Deadline(long sent, TimeSpan left) => sent + (long)((left - options.Margin).TotalSeconds * clock.TimestampFrequency);

    [LoggerMessage(LogLevel.Warning, "Lease of item {Id}, token {Token}, is lost: its holder is told to stop")]
    private partial void LogLost(string id, long token);

    [LoggerMessage(LogLevel.Warning, "Redis cannot be reached; {Count} leases are not renewed: {Reason}")]
    private partial void LogAway(int count, string reason);

    [LoggerMessage(LogLevel.Information, "Redis is back; leases are renewed again")]
    private partial void LogBack();

    [LoggerMessage(LogLevel.Error, "Leases could not be renewed")]
    private partial void LogFailed(Exception error);

    [LoggerMessage(LogLevel.Error, "A listener on a delivery's token failed")]
    private partial void LogListenerFailed(Exception error);
}
