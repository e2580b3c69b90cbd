using System.Diagnostics;
using System.Threading.Tasks.Sources;

namespace DistributedPatterns.SingleFlight.Engine;

/// <summary>One flight in this process. Its callers are counted under the table's gate.</summary>
internal abstract class LocalFlight(string key) : IThreadPoolWorkItem
{
    private readonly CancellationTokenSource _gone = new();

    public string Key => key;

    public bool LeaderIsHere { get; set; } = true;

    public int Joined { get; set; }

    public int Callers => Joined + (LeaderIsHere ? 1 : 0);

    public bool HasLanded { get; set; }

    protected CancellationToken Gone => _gone.Token;

    /// <summary>Begins to fly. Queued to the pool without the caller's context: its deadline and other ambient values are not the flight's.</summary>
    public abstract void Execute();

    /// <summary>Gives those who wait the news that the process stops.</summary>
    public abstract void Stop();

    /// <summary>Tells the flight that nobody here waits any more. Not on the caller's path: what listens may take its time.</summary>
    public void Abandon() => _ = _gone.CancelAsync();
}

/// <remarks>Callers with neither a limit nor a token wait on the flight itself, by <see cref="IValueTaskSource{T}"/>: nothing of their own is made for them but what wakes them.</remarks>
internal sealed class LocalFlight<TIn, TOut>(FlightGroup<TIn, TOut> group, string key, TIn input, TimeSpan ttl) : LocalFlight(key), IValueTaskSource<FlightResult<TOut>>
{
    private readonly TaskCompletionSource<Landing<TOut>> _landed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ActivityContext _parent = Activity.Current?.Context ?? default;

    public TimeSpan Ttl => ttl;

    /// <summary>Gets what it brings. Never faults: an error is an outcome.</summary>
    public Task<Landing<TOut>> Landed => _landed.Task;

    /// <summary>Waits to the end.</summary>
    /// <param name="place">Whether the caller started this flight or joined it.</param>
    public ValueTask<FlightResult<TOut>> WaitAsync(FlightRole place) => new(this, (short)place);

    public override void Execute() => _ = group.FlyAsync(this, new FlightOrder<TIn, TOut>(group.Work, Key, input, ttl, _parent, Gone));

    public override void Stop() => group.Land(this, Landing<TOut>.Stopped());

    public void SetLanded(Landing<TOut> landing) => _landed.SetResult(landing);

    ValueTaskSourceStatus IValueTaskSource<FlightResult<TOut>>.GetStatus(short place) =>
        !Landed.IsCompleted ? ValueTaskSourceStatus.Pending : Landed.Result.IsError ? ValueTaskSourceStatus.Faulted : ValueTaskSourceStatus.Succeeded;

    FlightResult<TOut> IValueTaskSource<FlightResult<TOut>>.GetResult(short place) => Landed.GetAwaiter().GetResult().For((FlightRole)place);

    void IValueTaskSource<FlightResult<TOut>>.OnCompleted(Action<object?> continuation, object? state, short place, ValueTaskSourceOnCompletedFlags flags)
    {
        var awaiter = Landed.ConfigureAwait(flags.HasFlag(ValueTaskSourceOnCompletedFlags.UseSchedulingContext)).GetAwaiter();
        if (flags.HasFlag(ValueTaskSourceOnCompletedFlags.FlowExecutionContext)) awaiter.OnCompleted(() => continuation(state));
        else awaiter.UnsafeOnCompleted(() => continuation(state));
    }
}
