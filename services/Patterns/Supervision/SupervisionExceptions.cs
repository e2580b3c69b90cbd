namespace DistributedPatterns.Supervision;

/// <summary>The base of what supervision throws for reasons of its own.</summary>
public abstract class SupervisionException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>No child has that name.</summary>
public sealed class ChildNotFoundException(string child, IEnumerable<string> known)
    : SupervisionException($"There is no child '{(child.Length <= 80 ? child : child[..80] + "…")}'. There are: {string.Join(", ", known)}.");

/// <summary>The child does not run at present.</summary>
public sealed class ChildNotRunningException(string child, ChildState state)
    : SupervisionException($"Child '{child}' does not run at present: it is {state}. Try again once it runs.")
{
    public ChildState State { get; } = state;
}

/// <summary>Restarts did not help: all children are stopped, and what supervises this supervisor has to decide.</summary>
public sealed class SupervisorEscalatedException(string reason, StopReport? report = null)
    : SupervisionException($"The supervisor has given up and stopped its children: {reason} Reset it once the cause is gone.")
{
    public string Reason { get; } = reason;

    /// <summary>Gets what became of the children, where the supervisor is in this process.</summary>
    public StopReport? Report { get; } = report;
}

/// <summary>A start of a child that was replaced tried to write.</summary>
public sealed class ChildFencedException(string child, long epoch, long current)
    : SupervisionException($"Epoch {epoch} of child '{child}' is over and may not write any more; the current one is {current}.")
{
    public string Child { get; } = child;

    public long Epoch { get; } = epoch;
}

/// <summary>What a child wants to keep is too large.</summary>
public sealed class ChildValueTooLargeException(string child, int length)
    : SupervisionException($"Child '{child}' wants to keep {length:N0} characters; {ChildContext.MaxValueLength:N0} are allowed. Keep a reference instead of the data.");

/// <summary>Thrown by a child that must not be started again, whatever its <see cref="ChildOptions.Restart"/> says.</summary>
public sealed class ChildDoneException(string message, Exception? inner = null) : SupervisionException(message, inner);

/// <summary>Thrown by a child that knows that no restart can help: the supervisor gives up at once.</summary>
public sealed class EndTreeException(string message, Exception? inner = null) : SupervisionException(message, inner);
