using DistributedPatterns.Deadlines.Engine;

namespace DistributedPatterns.Deadlines;

/// <summary>What an operation knows of the call it serves.</summary>
public sealed class OperationContext
{
    private readonly RunScope _scope;

    internal OperationContext(IBudgetedCalls calls, Deadline deadline, int attempt, string process, RunScope scope) =>
        (Calls, Deadline, Attempt, Process, _scope, Token) = (calls, deadline, attempt, process, scope, scope.Token);

    /// <summary>Gets the calls to go on with; pass <see cref="Deadline"/> and <see cref="Token"/>.</summary>
    public IBudgetedCalls Calls { get; }

    public Deadline Deadline { get; }

    /// <summary>Gets which attempt of the outermost call this is, from 1.</summary>
    public int Attempt { get; }

    /// <summary>Gets where it runs: the member, or the process' own name.</summary>
    public string Process { get; }

    /// <summary>Gets the token that is cancelled by whoever is first to end the operation.</summary>
    public CancellationToken Token { get; }

    /// <summary>Gets who has; <see cref="CancellationReason.None"/> while nobody has. Across processes the caller stands for all that happened on its side.</summary>
    public CancellationReason Reason => _scope.Reason;
}
