using System.Text.Json.Serialization;

namespace DistributedPatterns.Supervision;

/// <summary>Keeps named children running: starts them in order, again when they fail, and gives up when that does not help.</summary>
/// <remarks>
/// What both variants keep:
/// <list type="bullet">
/// <item>A failed child takes those with it that <see cref="SupervisionStrategy"/> says: they are stopped in reverse order and started in order, each when the one before it is up.</item>
/// <item>At most <see cref="RestartPolicy.MaxRestarts"/> restarts within <see cref="RestartPolicy.Within"/>. One more is an escalation: all children are stopped, and stay so until <see cref="ResetAsync"/>.</item>
/// <item>A child that gives no sign for its <see cref="ChildOptions.HeartbeatLimit"/> has hung. It is told to stop and replaced, also when it does not stop.</item>
/// <item>Each start has an epoch higher than all before. What a child keeps (<see cref="ChildContext.WriteAsync"/>) can be written by its current start alone:
/// one that was replaced, but still runs, is refused.</item>
/// <item>Nothing ends in silence: started = running + exited + crashed + hung + stopped + lost (<see cref="SupervisionLedger"/>) in every reading.</item>
/// </list>
/// <para><see cref="TaskSupervisor"/> lives and dies with its process. <see cref="RedisLeaseSupervisor"/> lets the children of a dead or frozen
/// process run in another one; for that, two starts of a child may run at the same time, and only the later one can write.</para>
/// </remarks>
public interface ISupervisor
{
    /// <summary>Reads the children, the budget and the ledger.</summary>
    ValueTask<SupervisionTree> GetTreeAsync(CancellationToken cancellationToken = default);

    /// <summary>Sends a signal to a running child, which may obey it (<see cref="ChildContext.TakeSignal"/>).</summary>
    /// <returns>The epoch of the start that gets it; a later one does not.</returns>
    /// <exception cref="ChildNotFoundException">No child has that name.</exception>
    /// <exception cref="ChildNotRunningException">The child does not run at present.</exception>
    /// <exception cref="SupervisorEscalatedException">All children are stopped, because restarts did not help.</exception>
    ValueTask<long> SignalAsync(string child, ChildSignal signal, CancellationToken cancellationToken = default);

    /// <summary>Changes which children a failure takes with it, from the next failure on.</summary>
    ValueTask SetStrategyAsync(SupervisionStrategy strategy, CancellationToken cancellationToken = default);

    /// <summary>Starts all children anew after an escalation, with a full budget. Without an escalation it fills the budget.</summary>
    ValueTask ResetAsync(CancellationToken cancellationToken = default);
}

/// <summary>Which children are stopped and started again with one that failed.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<SupervisionStrategy>))]
public enum SupervisionStrategy
{
    /// <summary>Itself alone: the children do not depend on each other.</summary>
    OneForOne,

    /// <summary>All: each depends on the others.</summary>
    OneForAll,

    /// <summary>Itself and those that come after it: each depends on those before it.</summary>
    RestForOne,
}

/// <summary>What a child is told, mostly to see what its supervisor does about it.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ChildSignal>))]
public enum ChildSignal
{
    None,

    /// <summary>Fail.</summary>
    Crash,

    /// <summary>Give no sign any more.</summary>
    Hang,

    /// <summary>Return.</summary>
    Exit,
}
