using System.Text.Json.Serialization;

namespace DistributedPatterns.Supervision;

/// <summary>What a supervisor looks like at one moment.</summary>
/// <param name="Escalated">Why the supervisor gave up, or <see langword="null"/>.</param>
/// <param name="Children">In the order of their starts.</param>
public sealed record SupervisionTree(
    SupervisionStrategy Strategy, string? Escalated, RestartBudgetStatus Budget, IReadOnlyList<ChildStatus> Children, SupervisionLedger Ledger, SupervisionCounters Counters);

/// <summary>How many restarts there have been in the time that counts, and how many are left.</summary>
public sealed record RestartBudgetStatus(int MaxRestarts, TimeSpan Within, int Spent, int Left);

/// <summary>A child at one moment.</summary>
/// <param name="Epoch">The number of its latest start; 0 before the first.</param>
/// <param name="Owner">The process that it runs in, or <see langword="null"/> while it does not.</param>
/// <param name="Restarts">How often it was started again because it failed.</param>
/// <param name="StartsIn">The rest of the pause before its next start.</param>
/// <param name="LeaseLeft">Across processes: how long the owner may keep it without renewing.</param>
/// <param name="Reason">Why its start before this one ended.</param>
/// <param name="Value">What it keeps.</param>
public sealed record ChildStatus(
    string Name, ChildState State, ChildRestart Restart, long Epoch, string? Owner, long Restarts, TimeSpan? StartsIn, TimeSpan? LeaseLeft, string? Reason, string? Value);

/// <summary>How far a child is.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ChildState>))]
public enum ChildState
{
    /// <summary>It will be started once those before it are up.</summary>
    Waiting,

    /// <summary>It failed and will be started after a pause.</summary>
    BackingOff,

    /// <summary>It was started and has not given its first sign yet.</summary>
    Starting,

    Running,

    /// <summary>It was told to stop.</summary>
    Stopping,

    /// <summary>It has ended and is not started again.</summary>
    Exited,

    /// <summary>It does not run because its supervisor does not, or gave up.</summary>
    Stopped,
}

/// <summary>What became of all starts: <c>Started = Running + Exited + Crashed + Hung + Stopped + Lost</c> at every moment.</summary>
/// <param name="Running">Those that have not ended, however far they are.</param>
/// <param name="Exited">Returned.</param>
/// <param name="Crashed">Threw.</param>
/// <param name="Hung">Gave no sign for too long.</param>
/// <param name="Stopped">Were told to, because of another child or because their process ends.</param>
/// <param name="Lost">Their process died or froze.</param>
public sealed record SupervisionLedger(long Started, long Running, long Exited, long Crashed, long Hung, long Stopped, long Lost);

/// <summary>What a supervisor counts besides.</summary>
/// <param name="Restarts">Starts that followed a failure; siblings that were started again with one are not counted.</param>
/// <param name="Fenced">Writes of replaced starts that were refused.</param>
/// <param name="NotStopped">Starts that were replaced and still run, in this process.</param>
public sealed record SupervisionCounters(long Restarts, long Escalations, long Fenced, int NotStopped);

/// <summary>What became of the children of a supervisor that was stopped.</summary>
/// <param name="Stopped">In the order in which they stopped.</param>
/// <param name="NotStopped">Those that still run though they were told to stop, with the limit that they exceeded. Replaced ones included.</param>
public sealed record StopReport(IReadOnlyList<string> Stopped, IReadOnlyList<NotStoppedChild> NotStopped);

/// <summary>A child that does not honour its token.</summary>
public sealed record NotStoppedChild(string Name, long Epoch, TimeSpan Limit);
