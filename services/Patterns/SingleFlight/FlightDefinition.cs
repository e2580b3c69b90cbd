using System.Buffers;
using System.Text.RegularExpressions;
using DistributedPatterns.Payloads;
using DistributedPatterns.SingleFlight.Engine;

namespace DistributedPatterns.SingleFlight;

/// <summary>A work by name: its code, and how its results travel. Immutable; the same one serves both variants.</summary>
/// <remarks>Across processes every process registers the same works: when a leader dies, one that waits runs the work with the input of its own caller.</remarks>
public abstract partial class FlightDefinition
{
    /// <summary>The longest key.</summary>
    public const int MaxKeyLength = 512;

    private protected FlightDefinition(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (!WorkName().IsMatch(name)) throw new ArgumentException($"A work's name has 1 to 64 letters, digits, dots, underscores or hyphens, not '{name}'.", nameof(name));
        Name = name;
    }

    /// <summary>Gets the name.</summary>
    public string Name { get; }

    internal abstract FlightGroup CreateGroup(FlightTable table);

    [GeneratedRegex(@"\A[A-Za-z0-9._-]{1,64}\z")]
    private static partial Regex WorkName();
}

/// <param name="name">1 to 64 letters, digits, dots, underscores or hyphens.</param>
/// <param name="results">How results travel.</param>
/// <param name="run">Does the work for one input. Thread safe. Should end soon when <see cref="FlightContext.Token"/> is cancelled.</param>
/// <inheritdoc cref="FlightDefinition"/>
public sealed class FlightDefinition<TIn, TOut>(string name, IPayloadCodec<TOut> results, Func<TIn, FlightContext, ValueTask<TOut>> run) : FlightDefinition(name)
{
    internal override FlightGroup CreateGroup(FlightTable table) => new FlightGroup<TIn, TOut>(this, table);

    /// <summary>Runs the work; what it throws is an outcome too.</summary>
    internal async Task<WorkOutcome<TOut>> RunAsync(TIn input, FlightContext context)
    {
        try
        {
            return new(await run(input, context).ConfigureAwait(false), null);
        }
        catch (Exception error)
        {
            return new(default, error); // goes to the callers
        }
    }

    internal byte[] Encode(TOut value)
    {
        var buffer = new ArrayBufferWriter<byte>(128);
        results.Encode([value], buffer);
        return buffer.WrittenSpan.ToArray();
    }

    internal TOut Decode(ReadOnlySpan<byte> payload)
    {
        TOut value = default!;
        results.Decode(payload, new Span<TOut>(ref value));
        return value;
    }
}

/// <summary>What a run knows of itself.</summary>
/// <param name="Key">The key that it runs for.</param>
/// <param name="Fence">Rises from run to run of a key. What the work writes elsewhere should be refused there when a higher one has written.</param>
/// <param name="Token">Cancelled when nobody waits any more, and, across processes, when the lease is over.</param>
public readonly record struct FlightContext(string Key, long Fence, CancellationToken Token);

/// <summary>The works that this process knows.</summary>
public sealed class FlightCatalog
{
    /// <exception cref="ArgumentException">Two works have the same name.</exception>
    public FlightCatalog(IEnumerable<FlightDefinition> works) => All = works.ToDictionary(work => work.Name, StringComparer.Ordinal);

    /// <summary>Gets all works by their names.</summary>
    public IReadOnlyDictionary<string, FlightDefinition> All { get; }
}
