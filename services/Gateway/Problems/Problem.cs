namespace DistributedPatterns.Gateway.Problems;

/// <summary>An error as the gateway answers it.</summary>
/// <param name="Detail">What is wrong with this request, and what is accepted.</param>
internal sealed record Problem(ProblemKind Kind, string Detail)
{
    /// <summary>Gets when to try again, where that is known; a 503 without it asks for about a second.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>Gets headers that belong to the answer; what an endpoint set itself is gone by then.</summary>
    public IReadOnlyList<(string Name, string Value)> Headers { get; init; } = [];
}

/// <summary>Ends a request with a problem.</summary>
internal sealed class ProblemException(ProblemKind kind, string detail, Exception? inner = null) : Exception(detail, inner)
{
    public ProblemKind Kind => kind;

    /// <inheritdoc cref="Problem.RetryAfter"/>
    public TimeSpan? RetryAfter { get; init; }

    /// <inheritdoc cref="Problem.Headers"/>
    public IReadOnlyList<(string Name, string Value)> Headers { get; init; } = [];

    public Problem Problem => new(kind, Message) { RetryAfter = RetryAfter, Headers = Headers };
}
