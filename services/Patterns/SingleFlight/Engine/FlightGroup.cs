using System.Collections.Concurrent;

namespace DistributedPatterns.SingleFlight.Engine;

/// <summary>The flights and kept results of one work in this process.</summary>
internal abstract class FlightGroup
{
    /// <summary>Drops a kept result, and lets nobody else join the flight that is under way.</summary>
    public abstract void Forget(string key);
}

internal sealed class FlightGroup<TIn, TOut>(FlightDefinition<TIn, TOut> work, FlightTable table) : FlightGroup
{
    // Who can be joined: not landed, not forgotten, at least one caller. Under the table's gate.
    private readonly Dictionary<string, LocalFlight<TIn, TOut>> _open = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, KeptResult> _kept = new(StringComparer.Ordinal);

    public FlightDefinition<TIn, TOut> Work => work;

    public ValueTask<FlightResult<TOut>> RunAsync(string key, TIn input, FlightCall call, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested) return ValueTask.FromCanceled<FlightResult<TOut>>(cancellationToken);
        if (_kept.TryGetValue(key, out var kept)) return Cached(kept);
        LocalFlight<TIn, TOut>? flight;
        var place = FlightRole.Joined;
        lock (table.Gate)
        {
            if (_kept.TryGetValue(key, out kept)) return Cached(kept); // it landed a moment ago
            var isThere = _open.TryGetValue(key, out flight);
            if (table.Refuse(work.Name, opens: !isThere) is { } why) return ValueTask.FromException<FlightResult<TOut>>(why);
            if (isThere)
            {
                flight!.Joined++;
            }
            else
            {
                _open.Add(key, flight = new LocalFlight<TIn, TOut>(this, key, input, call.Ttl));
                table.Open(flight);
                place = FlightRole.Led;
            }
            table.Counts.Waiting++;
        }
        if (place == FlightRole.Led) ThreadPool.UnsafeQueueUserWorkItem(flight, preferLocal: false);
        return call.WaitLimit is null && !cancellationToken.CanBeCanceled ? flight.WaitAsync(place) : WaitAsync(flight, place, call.WaitLimit, cancellationToken);
    }

    public override void Forget(string key)
    {
        lock (table.Gate)
        {
            _open.Remove(key);
            if (_kept.TryRemove(key, out var kept)) Drop(kept);
        }
    }

    /// <summary>Flies to the end, whatever that is, and lands.</summary>
    public async Task FlyAsync(LocalFlight<TIn, TOut> flight, FlightOrder<TIn, TOut> order)
    {
        try
        {
            Land(flight, await table.Pilot.FlyAsync(order).ConfigureAwait(false));
        }
        catch (Exception error)
        {
            Land(flight, Landing<TOut>.Failed(_ => error, FlightRole.Led)); // the callers', who would else wait for ever
        }
        table.Close(flight);
    }

    public void Land(LocalFlight<TIn, TOut> flight, Landing<TOut> landing)
    {
        int led, joined;
        lock (table.Gate)
        {
            if (flight.HasLanded) return; // stopped meanwhile
            flight.HasLanded = true;
            table.Land();
            // Before anybody is told: a call that comes from now on must not get what is over.
            var isCurrent = _open.TryGetValue(flight.Key, out var open) && open == flight && _open.Remove(flight.Key);
            if (flight.Callers > 1) landing = landing.Shared();
            if (isCurrent && flight.Ttl > TimeSpan.Zero && !landing.IsError && table.Pilot.KeepsResults) Keep(flight, landing);
            (led, joined) = (flight.LeaderIsHere ? 1 : 0, flight.Joined);
            table.Counts.Land(landing.IsError ? null : landing.Role, led, joined);
        }
        flight.SetLanded(landing);
        Report(landing.RoleOf(FlightRole.Led), led);
        Report(landing.RoleOf(FlightRole.Joined), joined);

        void Report(FlightRole role, int calls) => SingleFlightTelemetry.Count(table.Variant, work.Name, landing.IsError ? "failed" : NameOf(role), calls);
    }

    private async ValueTask<FlightResult<TOut>> WaitAsync(LocalFlight<TIn, TOut> flight, FlightRole place, TimeSpan? limit, CancellationToken cancellationToken)
    {
        try
        {
            await flight.Landed.WaitAsync(limit ?? Timeout.InfiniteTimeSpan, table.Time, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            if (Leave(flight, place, timedOut: true)) throw new FlightTimeoutException(work.Name, flight.Key, limit!.Value);
        }
        catch (OperationCanceledException)
        {
            if (Leave(flight, place, timedOut: false)) throw;
        }
        return await flight.WaitAsync(place).ConfigureAwait(false);
    }

    /// <summary>Takes a caller away, and with the last one the flight's reason to go on.</summary>
    /// <returns>False when the outcome is there: then the caller gets it.</returns>
    private bool Leave(LocalFlight<TIn, TOut> flight, FlightRole place, bool timedOut)
    {
        bool isLast;
        lock (table.Gate)
        {
            if (flight.HasLanded) return false;
            if (place == FlightRole.Led) flight.LeaderIsHere = false;
            else flight.Joined--;
            table.Counts.Leave(timedOut);
            isLast = flight.Callers == 0;
            if (isLast && _open.TryGetValue(flight.Key, out var open) && open == flight) _open.Remove(flight.Key);
        }
        if (isLast) flight.Abandon();
        SingleFlightTelemetry.Count(table.Variant, work.Name, timedOut ? "timed-out" : "left");
        return true;
    }

    private ValueTask<FlightResult<TOut>> Cached(KeptResult kept)
    {
        table.CountCached();
        SingleFlightTelemetry.Count(table.Variant, work.Name, "cached");
        return new(kept.Result);
    }

    private void Keep(LocalFlight<TIn, TOut> flight, Landing<TOut> landing)
    {
        if (!table.TryKeep()) return;
        var kept = new KeptResult(landing.For(FlightRole.Led) with { Role = FlightRole.Cached, IsShared = true });
        _kept[flight.Key] = kept;
        // Under the gate: it may be due before it is stored.
        kept.Expiry = table.Time.CreateTimer(static state => ((Action)state!)(), () => Expire(flight.Key, kept), flight.Ttl, Timeout.InfiniteTimeSpan);
    }

    private void Expire(string key, KeptResult kept)
    {
        lock (table.Gate)
        {
            if (_kept.TryRemove(new KeyValuePair<string, KeptResult>(key, kept))) Drop(kept);
        }
    }

    private void Drop(KeptResult kept)
    {
        kept.Expiry!.Dispose();
        table.Unkeep();
    }

    private static string NameOf(FlightRole role) => role switch
    {
        FlightRole.Led => "led",
        FlightRole.Joined => "joined",
        _ => "cached",
    };

    private sealed class KeptResult(FlightResult<TOut> result)
    {
        public FlightResult<TOut> Result => result;

        public ITimer? Expiry { get; set; }
    }
}
