using System.Text.Json;

namespace DistributedPatterns.EventLoop.Engine;

/// <summary>A key's state as its last handler left it.</summary>
internal sealed record KeyEntry(LoopHandler Handler, object State, long Applied, long Position)
{
    /// <summary>Returns the state as another handler takes it: the same object if both mean the same type, else by way of JSON.</summary>
    public object? StateFor(LoopHandler handler) => handler.StateType.IsInstanceOfType(State) ? State : handler.ReadState(Handler.WriteState(State));

    public KeyState Show(string key, int partition) => new(key, partition, Applied, Position, JsonElement.Parse(Handler.WriteState(State)));
}
