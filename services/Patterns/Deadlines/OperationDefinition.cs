using System.Buffers;
using DistributedPatterns.Deadlines.Engine;
using DistributedPatterns.Payloads;

namespace DistributedPatterns.Deadlines;

/// <summary>An operation by name: which service runs it, and its code. Immutable; the same one serves both variants.</summary>
/// <remarks>Across processes only the name travels, so every process has to register the same operations.</remarks>
public abstract class OperationDefinition
{
    private protected OperationDefinition(string name, string role)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(name.Length, 64, nameof(name));
        ArgumentException.ThrowIfNullOrWhiteSpace(role);
        (Name, Role) = (name, role);
    }

    /// <summary>Gets the name, 1 to 64 characters.</summary>
    public string Name { get; }

    /// <summary>Gets the service whose members run it, for example <c>worker</c>. In process everything runs here.</summary>
    public string Role { get; }

    internal abstract string Types { get; }

    /// <summary>Runs it for a caller in another process.</summary>
    internal abstract Task<byte[]> RunAsync(OperationHost host, ReadOnlyMemory<byte> input, Deadline deadline, int attempt, CancellationToken caller);
}

/// <param name="name">1 to 64 characters.</param>
/// <param name="role">The service whose members run it.</param>
/// <param name="inputs">How inputs travel.</param>
/// <param name="outputs">How answers travel.</param>
/// <param name="run">Answers one call. Thread safe. Should end soon when <see cref="OperationContext.Token"/> is cancelled. Throws
/// <see cref="OperationUnavailableException"/> when another attempt may help.</param>
/// <inheritdoc cref="OperationDefinition"/>
public sealed class OperationDefinition<TIn, TOut>(
    string name, string role, IPayloadCodec<TIn> inputs, IPayloadCodec<TOut> outputs, Func<TIn, OperationContext, ValueTask<TOut>> run) : OperationDefinition(name, role)
{
    internal Func<TIn, OperationContext, ValueTask<TOut>> Run => run;

    internal override string Types => $"{typeof(TIn).Name} → {typeof(TOut).Name}";

    internal byte[] Encode(TIn input) => Encode(input, inputs);

    internal TOut DecodeAnswer(ReadOnlySpan<byte> answer) => Decode(answer, outputs);

    internal override async Task<byte[]> RunAsync(OperationHost host, ReadOnlyMemory<byte> input, Deadline deadline, int attempt, CancellationToken caller)
    {
        var decoded = Decode(input.Span, inputs);
        return Encode(await host.RunAsync(this, decoded, deadline, attempt, new RunTokens(caller)).ConfigureAwait(false), outputs);
    }

    private static byte[] Encode<T>(T value, IPayloadCodec<T> codec)
    {
        var buffer = new ArrayBufferWriter<byte>(128);
        codec.Encode([value], buffer);
        return buffer.WrittenSpan.ToArray();
    }

    private static T Decode<T>(ReadOnlySpan<byte> payload, IPayloadCodec<T> codec)
    {
        T value = default!;
        codec.Decode(payload, new Span<T>(ref value));
        return value;
    }
}

/// <summary>The operations that this process knows.</summary>
public sealed class OperationCatalog
{
    private readonly Dictionary<string, OperationDefinition> _operations;

    /// <exception cref="ArgumentException">Two operations have the same name.</exception>
    public OperationCatalog(IEnumerable<OperationDefinition> operations) => _operations = operations.ToDictionary(operation => operation.Name, StringComparer.Ordinal);

    public IReadOnlyCollection<OperationDefinition> All => _operations.Values;

    internal OperationDefinition Get(string name) => _operations.TryGetValue(name, out var operation)
        ? operation
        : throw new UnknownOperationException($"There is no operation '{(name.Length <= 80 ? name : name[..80] + "…")}'. Registered are: {string.Join(", ", _operations.Keys)}.");

    internal OperationDefinition<TIn, TOut> Get<TIn, TOut>(string name) => Get(name) is var operation && operation is OperationDefinition<TIn, TOut> typed
        ? typed
        : throw new UnknownOperationException($"Operation '{name}' is {operation.Types}, not {typeof(TIn).Name} → {typeof(TOut).Name}.");
}
