namespace DistributedPatterns.FanOutFanIn;

/// <summary>The base of what fan-out/fan-in throws for reasons of its own.</summary>
public abstract class ScatterException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>No branch of that name, or of those types, is registered.</summary>
public sealed class UnknownBranchException(string message) : ScatterException(message);

/// <summary>No room for another gathering. Try again after one has ended.</summary>
public sealed class ScatterFullException(int limit) : ScatterException($"{limit} of {limit} gatherings are open. Try again when one has ended, or raise MaxOpen.")
{
    /// <summary>Gets how many gatherings may be open at the same time.</summary>
    public int Limit { get; } = limit;
}

/// <summary>A branch's code threw for an item, or the item could not be sent.</summary>
public class BranchException(string branch, long index, string worker, string reason, Exception? inner = null)
    : ScatterException($"Branch '{branch}' failed at item {index}, run by {worker}: {reason}", inner)
{
    public string Branch { get; } = branch;

    /// <summary>Gets the item's place among the inputs, from 0.</summary>
    public long Index { get; } = index;

    public string Worker { get; } = worker;

    /// <summary>Gets the message of what the branch's code threw. The inner exception is there when it ran in this process.</summary>
    public string Reason { get; } = reason;
}

/// <summary>An item took longer than <see cref="ScatterOptions{TIn}.ItemLimit"/>.</summary>
public sealed class BranchTimeoutException(string branch, long index, string worker, TimeSpan limit)
    : BranchException(branch, index, worker, $"it took longer than {limit}")
{
    public TimeSpan Limit { get; } = limit;
}

/// <summary>As many workers as allowed were lost while they had an item: it may be the item that kills them.</summary>
public sealed class BranchLostException(string branch, long index, string worker, int attempts)
    : BranchException(branch, index, worker, $"{attempts} workers in a row were lost while they had it; MaxAttempts is {attempts}")
{
    public int Attempts { get; } = attempts;
}

/// <summary>Not everything was answered in time.</summary>
public sealed class ScatterDeadlineException(TimeSpan limit, GatherReport report)
    : ScatterException($"Branch '{report.Branch}' had {report.Done + report.Failed:N0} of {report.Asked:N0} answers after {limit}. Raise Deadline, or take what is there with DeadlinePolicy.Partial.")
{
    public TimeSpan Limit { get; } = limit;

    /// <summary>Gets what was done by then and what is missing.</summary>
    public GatherReport Report { get; } = report;
}

/// <summary>Nobody was there to do the work.</summary>
public sealed class NoWorkerException(string role, TimeSpan waited, GatherReport report)
    : ScatterException($"No {role} was there to run branch '{report.Branch}' for {waited}; {report.Missing:N0} of {report.Asked:N0} items are without an answer. Start one, or raise MemberWait.")
{
    /// <summary>Gets how long nobody was there.</summary>
    public TimeSpan Waited { get; } = waited;

    public GatherReport Report { get; } = report;
}
