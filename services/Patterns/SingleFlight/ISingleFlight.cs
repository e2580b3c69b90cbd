namespace DistributedPatterns.SingleFlight;

/// <summary>Runs a work at most once at a time for each key, and hands its outcome to all who ask meanwhile.</summary>
/// <remarks>
/// What both variants keep:
/// <list type="bullet">
/// <item>A call that comes while the work runs for its key waits for that run instead of starting another.</item>
/// <item>The run belongs to all its callers, not to the first: it goes on while anybody waits, and is cancelled when the last one leaves.
/// Nobody joins a run that has been cancelled.</item>
/// <item>A failure is shared as <see cref="FlightFailedException"/>, each caller's own, and not kept: the next call runs the work again.</item>
/// <item>A result is kept only where <see cref="FlightCall.Ttl"/> says so, and never given to a call that began after <see cref="ForgetAsync"/> returned.</item>
/// <item>The work runs on the thread pool, outside its first caller's context: neither that one's cancellation nor its deadline binds the others.</item>
/// <item>Flights, callers and kept results are bounded; what is beyond is refused, or not kept, and counted.</item>
/// </list>
/// <para>Who shares a key must ask for the same: input and time to live are those of the caller that started the run. A value is handed to many; treat it as immutable.</para>
/// <para><see cref="TaskSingleFlight"/> sees one process and runs a work once at a time for sure. <see cref="RedisSingleFlight"/> spans processes by a lease: a process
/// that freezes past its lease may still be at work when another one takes over, so promise "rarely twice" there, and fence what the work writes
/// (<see cref="FlightContext.Fence"/>).</para>
/// </remarks>
public interface ISingleFlight
{
    /// <summary>Returns the result of the run for this key: of one that is kept, of one under way, or of one that this call starts.</summary>
    /// <param name="work">The name of a registered <see cref="FlightDefinition{TIn,TOut}"/>.</param>
    /// <param name="key">What makes two calls the same, 1 to <see cref="FlightDefinition.MaxKeyLength"/> characters. Include the tenant, the culture, whatever the result depends on.</param>
    /// <param name="input">What the work gets, if this call starts it.</param>
    /// <param name="call">How long to keep the result and to wait; neither unless set.</param>
    /// <param name="cancellationToken">Takes this caller away; the others go on. An outcome that is already there is still returned.</param>
    /// <exception cref="FlightFailedException">The work threw.</exception>
    /// <exception cref="FlightTimeoutException">No outcome within <see cref="FlightCall.WaitLimit"/>.</exception>
    /// <exception cref="FlightsFullException">As many flights or callers as may be.</exception>
    /// <exception cref="FlightUnavailableException">Redis did not answer.</exception>
    /// <exception cref="SingleFlightStoppedException">The process is stopping.</exception>
    /// <exception cref="UnknownFlightException">There is no work of that name and those types.</exception>
    ValueTask<FlightResult<TOut>> RunAsync<TIn, TOut>(string work, string key, TIn input, FlightCall call = default, CancellationToken cancellationToken = default);

    /// <summary>Drops a kept result, and makes the next call start a run of its own even if one is under way.</summary>
    /// <remarks>Those who already wait get an outcome all the same: in one process that of their run, across processes that of a newer one.</remarks>
    /// <exception cref="UnknownFlightException">There is no work of that name.</exception>
    /// <exception cref="FlightUnavailableException">Redis did not answer.</exception>
    ValueTask ForgetAsync(string work, string key, CancellationToken cancellationToken = default);

    /// <summary>Reads what became of this process's calls and runs, in one go.</summary>
    FlightLedger GetLedger();
}

/// <summary>How a call is made.</summary>
public readonly record struct FlightCall
{
    /// <summary>The longest time to live, and to wait.</summary>
    public static readonly TimeSpan MaxTime = TimeSpan.FromDays(1);

    /// <summary>Gets how long the result answers calls that come later.</summary>
    /// <value>From 0, only those who wait get it, to 1 day; 0 unless set. That of the call that starts the run counts.</value>
    public TimeSpan Ttl { get; init; }

    /// <summary>Gets how long this caller waits at most.</summary>
    /// <value>More than 0, up to 1 day; no limit but its token unless set. The others wait on.</value>
    public TimeSpan? WaitLimit { get; init; }

    internal FlightCall Checked()
    {
        if (Ttl < TimeSpan.Zero || Ttl > MaxTime) throw new ArgumentOutOfRangeException(nameof(Ttl), Ttl, $"Ttl takes 0 to {MaxTime}.");
        if (WaitLimit <= TimeSpan.Zero || WaitLimit > MaxTime) throw new ArgumentOutOfRangeException(nameof(WaitLimit), WaitLimit, $"WaitLimit takes more than 0, up to {MaxTime}.");
        return this;
    }
}

/// <summary>How a call came to its outcome.</summary>
public enum FlightRole
{
    /// <summary>It started the run.</summary>
    Led,

    /// <summary>It waited for a run that was under way, in whatever process.</summary>
    Joined,

    /// <summary>It got a result that was kept.</summary>
    Cached,
}

/// <summary>A result, and how the call came to it.</summary>
/// <param name="IsShared">Whether anybody else got it too.</param>
/// <param name="Fence">The number of the run: of two runs for a key the later has the higher one.</param>
public readonly record struct FlightResult<T>(T Value, FlightRole Role, bool IsShared, long Fence);

/// <summary>
/// What became of the calls and runs of one process: asked = led + joined + cached + failed + left + timed out + refused + waiting,
/// and started = published + threw + cancelled + unpublished + running.
/// </summary>
/// <param name="Failed">Calls that got an error: the work's, or one of reaching an outcome.</param>
/// <param name="Left">Calls whose token was cancelled.</param>
/// <param name="Refused">Calls for which there was no room, or that came while stopping.</param>
/// <param name="Published">Runs whose result their callers got.</param>
/// <param name="Threw">Runs that failed, and whose error their callers got.</param>
/// <param name="Cancelled">Runs that nobody waited for any more, or that a stop ended.</param>
/// <param name="Unpublished">Runs whose outcome nobody got, for the lease was over or the key forgotten: the price of a lease, 0 in one process.</param>
/// <param name="Running">Runs under way, those included that ignore their cancellation.</param>
/// <param name="Kept">Results that are kept here now; across processes they are kept in Redis.</param>
/// <param name="NotKept">Results that were not kept because as many were as may be.</param>
public sealed record FlightLedger(
    long Asked, long Led, long Joined, long Cached, long Failed, long Left, long TimedOut, long Refused, long Waiting,
    long Started, long Published, long Threw, long Cancelled, long Unpublished, long Running, int Kept, long NotKept);
