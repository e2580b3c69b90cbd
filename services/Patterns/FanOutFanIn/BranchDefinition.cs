using DistributedPatterns.FanOutFanIn.Engine;
using DistributedPatterns.Payloads;

namespace DistributedPatterns.FanOutFanIn;

/// <summary>A branch by name: the code that answers one input, and how inputs and answers travel. Immutable; the same one serves both variants.</summary>
/// <remarks>Across processes only the name travels, so every process has to register the same branches.</remarks>
public abstract class BranchDefinition
{
    private protected BranchDefinition(string name)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(name.Length, 64, nameof(name));
        Name = name;
    }

    /// <summary>Gets the name, 1 to 64 characters.</summary>
    public string Name { get; }

    internal abstract string Types { get; }

    /// <summary>Opens the branch for inputs that come encoded from another process.</summary>
    internal abstract IEncodedRun Open(IAsyncEnumerable<EncodedItems> inputs, EncodedRunSettings settings);
}

/// <param name="name">1 to 64 characters.</param>
/// <param name="inputs">How inputs travel.</param>
/// <param name="outputs">How answers travel.</param>
/// <param name="run">Answers one input. Thread safe; called for many items at a time. Should end soon when its token is cancelled.</param>
/// <inheritdoc cref="BranchDefinition"/>
public sealed class BranchDefinition<TIn, TOut>(
    string name, IPayloadCodec<TIn> inputs, IPayloadCodec<TOut> outputs, Func<TIn, CancellationToken, ValueTask<TOut>> run) : BranchDefinition(name)
{
    internal IPayloadCodec<TIn> Inputs => inputs;

    internal IPayloadCodec<TOut> Outputs => outputs;

    internal Func<TIn, CancellationToken, ValueTask<TOut>> Run => run;

    internal override string Types => $"{typeof(TIn).Name} → {typeof(TOut).Name}";

    internal override IEncodedRun Open(IAsyncEnumerable<EncodedItems> inputs, EncodedRunSettings settings) =>
        new EncodedRun<TIn, TOut>(this, inputs, settings);
}

/// <summary>The branches that this process knows.</summary>
public sealed class BranchCatalog
{
    private readonly Dictionary<string, BranchDefinition> _branches;

    /// <exception cref="ArgumentException">Two branches have the same name.</exception>
    public BranchCatalog(IEnumerable<BranchDefinition> branches) => _branches = branches.ToDictionary(branch => branch.Name, StringComparer.Ordinal);

    public IReadOnlyCollection<string> Names => _branches.Keys;

    internal BranchDefinition Get(string name) => _branches.TryGetValue(name, out var branch)
        ? branch
        : throw new UnknownBranchException($"There is no branch '{(name.Length <= 80 ? name : name[..80] + "…")}'. Registered are: {string.Join(", ", Names)}.");

    internal BranchDefinition<TIn, TOut> Get<TIn, TOut>(string name) => Get(name) is var branch && branch is BranchDefinition<TIn, TOut> typed
        ? typed
        : throw new UnknownBranchException($"Branch '{name}' is {branch.Types}, not {typeof(TIn).Name} → {typeof(TOut).Name}.");
}
