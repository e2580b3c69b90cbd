using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace DistributedPatterns.EventLoop;

/// <summary>Handles an event: makes the next state of this one. Called on the loop, so it must not block; what takes time goes off the loop (<see cref="TurnContext.RunOffLoop"/>).</summary>
/// <param name="state">The key's state, or <see langword="null"/> when it has none.</param>
/// <param name="e">What happened.</param>
/// <param name="turn">Whose turn this is, and what else it can do.</param>
/// <returns>The next state, a new object; or <see langword="null"/> to end the key; timers that it has stay set.</returns>
public delegate TState? LoopTurn<TState, in TEvent>(TState? state, TEvent e, TurnContext turn) where TState : class;

/// <summary>A handler by name. Immutable; the same one serves both variants.</summary>
/// <remarks>Across processes only the name travels, so every process registers the same handlers.</remarks>
public abstract class LoopHandler
{
    private protected LoopHandler(string name, LoopHandlerOptions options)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (name.Length is < 1 or > 64 || name.Any(c => !char.IsAsciiLetterOrDigit(c) && c is not ('.' or '_' or '-')))
            throw new ArgumentException($"'{name}' is no name of a handler: 1 to 64 letters, digits, dots, underscores or hyphens.", nameof(name));
        (Name, Options) = (name, options);
        Validator.ValidateObject(options, new ValidationContext(options), validateAllProperties: true);
    }

    public string Name { get; }

    internal LoopHandlerOptions Options { get; }

    internal abstract Type StateType { get; }

    /// <exception cref="LoopEventException">It is not what the handler takes.</exception>
    internal abstract object ReadEvent(JsonElement body);

    internal abstract object? Handle(object? state, object e, TurnContext turn);

    internal abstract object? ReadState(string json);

    internal abstract string WriteState(object state);
}

/// <summary>A handler of <typeparamref name="TEvent"/> over a <typeparamref name="TState"/>. Several handlers may share the state of a key, if its JSON is the same to them.</summary>
/// <param name="name">1 to 64 letters, digits, dots, underscores or hyphens.</param>
/// <param name="handle">Repeatable: across processes it runs again when its process is lost before the new state is kept.</param>
public sealed class LoopHandler<TState, TEvent>(
    string name, LoopTurn<TState, TEvent> handle, JsonTypeInfo<TState> stateType, JsonTypeInfo<TEvent> eventType, LoopHandlerOptions? options = null)
    : LoopHandler(name, options ?? new()) where TState : class
{
    internal override Type StateType => typeof(TState);

    /// <summary>Makes an event of a typed body.</summary>
    public LoopEvent With(TEvent body) => new(Name, JsonSerializer.SerializeToElement(body, eventType));

    /// <summary>Returns the typed state, or <see langword="null"/> when the key has none.</summary>
    public TState? StateOf(KeyState? key) => key?.State?.Deserialize(stateType);

    internal override object ReadEvent(JsonElement body)
    {
        try
        {
            return body.Deserialize(eventType) ?? throw new LoopEventException($"Handler '{Name}' does not take null.");
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            throw new LoopEventException($"Handler '{Name}' does not take this event: {error.Message}", error);
        }
    }

    internal override object? Handle(object? state, object e, TurnContext turn) => handle((TState?)state, (TEvent)e, turn);

    internal override object? ReadState(string json) => JsonSerializer.Deserialize(json, stateType);

    internal override string WriteState(object state) => JsonSerializer.Serialize((TState)state, stateType);
}

/// <summary>What is done when a handler fails.</summary>
public sealed class LoopHandlerOptions
{
    /// <summary>Gets or sets how often an event is tried at once, before it is dead.</summary>
    /// <value>From 1 to 10; 1, no second try, unless set. The other events of the partition wait meanwhile.</value>
    [Range(1, 10)]
    public int MaxAttempts { get; set; } = 1;
}

/// <summary>The handlers registered in this process, by name.</summary>
public sealed class LoopHandlerCatalog
{
    private readonly Dictionary<string, LoopHandler> _byName;

    /// <exception cref="ArgumentException">Two handlers have the same name.</exception>
    public LoopHandlerCatalog(IEnumerable<LoopHandler> handlers) => _byName = handlers.ToDictionary(handler => handler.Name, StringComparer.Ordinal);

    /// <exception cref="UnknownLoopHandlerException">None has that name; the exception lists those there are.</exception>
    public LoopHandler Get(string name) =>
        name is not null && _byName.TryGetValue(name, out var handler) ? handler : throw new UnknownLoopHandlerException(name ?? "", _byName.Keys);
}
