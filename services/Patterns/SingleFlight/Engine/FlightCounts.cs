namespace DistributedPatterns.SingleFlight.Engine;

/// <summary>How a run ended.</summary>
internal enum RunEnd
{
    Published,
    Threw,
    Cancelled,
    Unpublished,
}

/// <summary>The numbers behind a <see cref="FlightLedger"/>; under the table's gate.</summary>
internal sealed class FlightCounts
{
    private readonly long[] _ends = new long[4];
    private long _asked, _led, _joined, _cached, _failed, _left, _timedOut, _refused, _started;

    public long Waiting { get; set; }

    public long Running => _started - _ends.Sum();

    public void Ask() => _asked++;

    public void Refuse() => _refused++;

    public void Start() => _started++;

    public void End(RunEnd how) => _ends[(int)how]++;

    /// <param name="role">How the process came to a result; <see langword="null"/> for an error.</param>
    /// <param name="led">1 if the caller that started the flight is still there.</param>
    /// <param name="joined">The other callers.</param>
    public void Land(FlightRole? role, int led, int joined)
    {
        Waiting -= led + joined;
        if (role is null) _failed += led + joined;
        else if (role == FlightRole.Cached) _cached += led + joined;
        else if (role == FlightRole.Joined) _joined += led + joined;
        else (_led, _joined) = (_led + led, _joined + joined);
    }

    public void Leave(bool timedOut)
    {
        Waiting--;
        if (timedOut) _timedOut++;
        else _left++;
    }

    /// <param name="hits">Calls that a result kept here answered; they are counted elsewhere.</param>
    public FlightLedger Read(long hits, int kept, long notKept) => new(
        _asked + hits, _led, _joined, _cached + hits, _failed, _left, _timedOut, _refused, Waiting,
        _started, _ends[(int)RunEnd.Published], _ends[(int)RunEnd.Threw], _ends[(int)RunEnd.Cancelled], _ends[(int)RunEnd.Unpublished], Running, kept, notKept);
}
