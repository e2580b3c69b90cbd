using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace DistributedPatterns.ProducerConsumer;

/// <summary>An item and all that the queue knows of it, from its enqueue until it is forgotten.</summary>
internal sealed class ChannelItem<T>(string id, T payload) : IHeapItem
{
    public string Id { get; } = id;

    public T Payload = payload;
    public WorkItemState State;
    public long Place;
    public long Token;
    public int Attempts;
    public long Born;
    public long ExpiresAt = long.MaxValue; // its time to live
    public bool IsWatched;
    public bool CancelRequested;
    public RedeliveryReason Why;
    public SettleVerb? EndedBy; // what ended the last hand-out, so that its repetition is known
    public string Note = "";
    public Delivery<T>? Holder;
    public StrongBox<ActivityContext>? Creator;
    public ReadOnlyMemory<byte> Result;
    public TaskCompletionSource<WorkItemStatus?>? End;
    public LinkedListNode<ChannelItem<T>>? Grave; // its place among the dead
    public long EndedAt;

    private HeapSlots _slots = HeapSlots.Nowhere;

    public ref HeapSlots Slots => ref _slots;

    public WorkItemStatus Status => new(Id, State, Attempts, CancelRequested, Note, Result);
}
