using System.Globalization;
using System.Text.Json;
using StackExchange.Redis;

namespace DistributedPatterns.EventLoop.Engine;

/// <summary>A key's state as its owner has it: as it came from Redis until a handler takes it, then as the handler left it.</summary>
internal sealed class RedisStoredState
{
    private readonly string? _json;
    private readonly object? _state;
    private readonly LoopHandler? _handler;

    private RedisStoredState(long applied, long position, string? json, object? state, LoopHandler? handler) =>
        (Applied, Position, _json, _state, _handler) = (applied, position, json, state, handler);

    public long Applied { get; }

    public long Position { get; }

    public static RedisStoredState? Parse(RedisValue stored) =>
        Split(stored) is { } parts ? new RedisStoredState(parts.Applied, parts.Position, parts.Json, null, null) : null;

    public static RedisStoredState After(LoopHandler handler, object state, long applied, long position) => new(applied, position, null, state, handler);

    public static KeyState? Show(string key, int partition, RedisValue stored) =>
        Split(stored) is { } parts ? new KeyState(key, partition, parts.Applied, parts.Position, JsonElement.Parse(parts.Json)) : null;

    /// <summary>Returns the state as a handler takes it.</summary>
    public object? For(LoopHandler handler) => handler.StateType.IsInstanceOfType(_state) ? _state : handler.ReadState(Json);

    public RedisValue Write() => string.Create(CultureInfo.InvariantCulture, $"{Applied} {Position} {Json}");

    private string Json => _json ?? _handler!.WriteState(_state!);

    private static (long Applied, long Position, string Json)? Split(RedisValue stored)
    {
        if (stored.IsNullOrEmpty) return null;
        var text = (string)stored!;
        var first = text.IndexOf(' ', StringComparison.Ordinal);
        var second = text.IndexOf(' ', first + 1);
        return (long.Parse(text.AsSpan(0, first), CultureInfo.InvariantCulture), long.Parse(text.AsSpan(first + 1, second - first - 1), CultureInfo.InvariantCulture), text[(second + 1)..]);
    }
}
