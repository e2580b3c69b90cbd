using System.Collections.Frozen;
using DistributedPatterns.RateLimiting;

namespace DistributedPatterns.SingleFlight.Engine;

/// <summary>All flights of a process: their limits, their counts and their end. Both variants have one; what it calls a flight is one waiter to the outside.</summary>
internal sealed class FlightTable
{
    private readonly FrozenDictionary<string, FlightGroup> _groups;
    private readonly SingleFlightOptions _options;
    private readonly int _maxKept;
    private readonly HashSet<LocalFlight> _flying = [];
    private readonly StripedCounter _hits = new();
    private TaskCompletionSource? _idle;
    private int _aloft;
    private int _kept;
    private long _notKept;

    public FlightTable(FlightCatalog catalog, SingleFlightOptions options, int maxKept, IFlightPilot pilot, TimeProvider time, string variant)
    {
        (_options, _maxKept, Pilot, Time, Variant) = (options, maxKept, pilot, time, variant);
        _groups = catalog.All.ToFrozenDictionary(work => work.Key, work => work.Value.CreateGroup(this), StringComparer.Ordinal);
    }

    public Lock Gate { get; } = new();

    public FlightCounts Counts { get; } = new();

    public IFlightPilot Pilot { get; }

    public TimeProvider Time { get; }

    public string Variant { get; }

    /// <summary>Gets whether the process stops: then flights are given up although somebody waits.</summary>
    public bool IsStopping => Volatile.Read(ref _idle) is not null;

    public FlightGroup Find(string work)
    {
        ArgumentNullException.ThrowIfNull(work);
        return _groups.TryGetValue(work, out var group)
            ? group
            : throw new UnknownFlightException($"There is no work '{(work.Length <= 80 ? work : work[..80] + "…")}'. Registered are: {string.Join(", ", _groups.Keys.Order(StringComparer.Ordinal))}.");
    }

    public FlightGroup<TIn, TOut> Find<TIn, TOut>(string work) => Find(work) as FlightGroup<TIn, TOut>
        ?? throw new UnknownFlightException($"Work '{work}' is not {typeof(TIn).Name} → {typeof(TOut).Name}.");

    /// <summary>Counts a caller, and says why it is refused, if it is. Under the gate.</summary>
    /// <param name="work">What it asks for.</param>
    /// <param name="opens">Whether it needs a flight of its own.</param>
    public SingleFlightException? Refuse(string work, bool opens)
    {
        Counts.Ask();
        SingleFlightException? why =
            _idle is not null ? new SingleFlightStoppedException()
            : Counts.Waiting >= _options.MaxCallers ? new FlightsFullException("callers wait", _options.MaxCallers, nameof(_options.MaxCallers))
            : opens && _aloft >= _options.MaxFlights ? new FlightsFullException("flights are under way", _options.MaxFlights, nameof(_options.MaxFlights))
            : null;
        if (why is null) return null;
        Counts.Refuse();
        SingleFlightTelemetry.Count(Variant, work, "refused");
        return why;
    }

    /// <summary>Takes a flight on. Under the gate.</summary>
    public void Open(LocalFlight flight)
    {
        _flying.Add(flight);
        _aloft++;
    }

    /// <summary>Gives a flight's room back, before its callers are told. Under the gate.</summary>
    public void Land() => _aloft--;

    public void Close(LocalFlight flight)
    {
        lock (Gate)
        {
            _flying.Remove(flight);
            EndWhenIdle();
        }
    }

    public void CountStart()
    {
        lock (Gate) Counts.Start();
    }

    public void CountEnd(string work, RunEnd how)
    {
        if (how == RunEnd.Unpublished) SingleFlightTelemetry.CountDuplicate(Variant, work);
        lock (Gate)
        {
            Counts.End(how);
            EndWhenIdle();
        }
    }

    public void CountCached() => _hits.Increment();

    /// <summary>Takes the room for a result. Under the gate.</summary>
    public bool TryKeep()
    {
        if (_kept < _maxKept) _kept++;
        else
        {
            _notKept++;
            return false;
        }
        return true;
    }

    public void Unkeep() => _kept--;

    public FlightLedger Read()
    {
        lock (Gate) return Counts.Read(_hits.Sum(), _kept, _notKept);
    }

    /// <summary>Takes no more calls, lets flights end within the limit, then cuts them off and waits as long again for what they have to give back.</summary>
    /// <returns>How many runs go on, because they ignore their cancellation.</returns>
    public async Task<long> StopAsync()
    {
        Task idle;
        lock (Gate)
        {
            _idle ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            idle = _idle.Task;
            EndWhenIdle();
        }
        if (!await IsWithinLimitAsync(idle).ConfigureAwait(false))
        {
            LocalFlight[] rest;
            lock (Gate) rest = [.. _flying];
            foreach (var flight in rest)
            {
                flight.Stop();
                flight.Abandon();
            }
            await IsWithinLimitAsync(idle).ConfigureAwait(false);
        }
        lock (Gate) return Counts.Running;
    }

    private async Task<bool> IsWithinLimitAsync(Task idle)
    {
        try
        {
            await idle.WaitAsync(_options.DrainLimit, Time).ConfigureAwait(false);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    private void EndWhenIdle()
    {
        if (_idle is not null && _flying.Count == 0 && Counts.Running == 0) _idle.TrySetResult();
    }
}
