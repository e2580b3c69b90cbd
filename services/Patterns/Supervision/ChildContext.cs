using DistributedPatterns.Supervision.Engine;

namespace DistributedPatterns.Supervision;

/// <summary>One start of a child, as the child sees it. Thread-safe.</summary>
public sealed class ChildContext
{
    /// <summary>The longest value that a child can keep, in characters.</summary>
    public const int MaxValueLength = 16_384;

    private readonly IChildStore _store;
    private readonly ChildRun _run;

    internal ChildContext(ChildRun run, string name, string owner, long epoch, IChildStore store)
    {
        (_run, _store) = (run, store);
        (Name, Owner, Epoch) = (name, owner, epoch);
    }

    public string Name { get; }

    /// <summary>Gets the process that the child runs in.</summary>
    public string Owner { get; }

    /// <summary>Gets the number of this start, higher than all before. A store elsewhere that keeps the highest it saw can refuse the others.</summary>
    public long Epoch { get; }

    /// <summary>Gives a sign of life. Costs about as much as reading a clock.</summary>
    public void Beat() => _run.Beat();

    /// <summary>Returns the signal that was sent to this start since the last call.</summary>
    public ChildSignal TakeSignal() => _run.TakeSignal();

    /// <summary>Reads what the child keeps, or <see langword="null"/> when it has kept nothing yet. It survives the child's end.</summary>
    public ValueTask<string?> ReadAsync(CancellationToken cancellationToken = default) => _store.ReadAsync(Name, cancellationToken);

    /// <summary>Reads what another child keeps.</summary>
    public ValueTask<string?> ReadAsync(string child, CancellationToken cancellationToken = default) => _store.ReadAsync(child, cancellationToken);

    /// <summary>Keeps a value, in place of the last one.</summary>
    /// <exception cref="ChildFencedException">This start was replaced. Nothing was written.</exception>
    /// <exception cref="ChildValueTooLargeException">The value has more than <see cref="MaxValueLength"/> characters.</exception>
    public ValueTask WriteAsync(string value, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(value);
        return value.Length > MaxValueLength ? throw new ChildValueTooLargeException(Name, value.Length) : _store.WriteAsync(Name, Epoch, value, cancellationToken);
    }
}
