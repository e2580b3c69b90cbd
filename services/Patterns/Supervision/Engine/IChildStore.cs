namespace DistributedPatterns.Supervision.Engine;

/// <summary>Where children keep their values.</summary>
internal interface IChildStore
{
    ValueTask<string?> ReadAsync(string child, CancellationToken cancellationToken);

    /// <exception cref="ChildFencedException">The epoch is not the current one of a child that runs.</exception>
    ValueTask WriteAsync(string child, long epoch, string value, CancellationToken cancellationToken);
}
