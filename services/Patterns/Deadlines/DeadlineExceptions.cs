namespace DistributedPatterns.Deadlines;

/// <summary>The base of what this pattern throws for reasons of its own.</summary>
public abstract class BudgetedCallException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>The budget was spent before the work was done, or before it began.</summary>
/// <param name="what">What was to be done.</param>
/// <param name="budget">How much time it had.</param>
/// <param name="started">Whether it had begun.</param>
public sealed class DeadlineExceededException(string what, TimeSpan budget, bool started, Exception? inner = null) : BudgetedCallException(
    started ? $"{what} was not done within its budget of {budget}." : $"{what} was not begun: its budget of {budget} was spent.", inner)
{
    /// <summary>Gets how much time there was in all.</summary>
    public TimeSpan Budget { get; } = budget;

    /// <summary>Gets whether the work had begun. What was never begun has had no effect.</summary>
    public bool Started { get; } = started;
}

/// <summary>No operation of that name, or of those types, is registered.</summary>
public sealed class UnknownOperationException(string message) : BudgetedCallException(message);

/// <summary>The operation's code threw.</summary>
/// <remarks>The inner exception is there when it ran in this process.</remarks>
public sealed class OperationFailedException(string operation, string reason, Exception? inner = null)
    : BudgetedCallException($"Operation '{operation}' failed: {reason}", inner)
{
    public string Operation { get; } = operation;

    /// <summary>Gets the message of what its code threw.</summary>
    public string Reason { get; } = reason;
}

/// <summary>The operation cannot be done at present: its process is away or stopping, or its code says so. Worth another attempt inside the budget.</summary>
public sealed class OperationUnavailableException(string operation, string reason, Exception? inner = null)
    : BudgetedCallException($"Operation '{operation}' is not available: {reason}", inner)
{
    public string Operation { get; } = operation;

    public string Reason { get; } = reason;
}
