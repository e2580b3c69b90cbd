using System.Threading.Channels;
using DistributedPatterns.Pipeline.Engine;

namespace DistributedPatterns.Pipeline;

/// <summary>The chunks of one epoch that are read but not acknowledged. Bounded: the source waits while it is full.</summary>
internal sealed class MessageWindow(int size)
{
    private readonly SemaphoreSlim _room = new(size, size);
    private readonly Channel<Message> _fresh = Channel.CreateUnbounded<Message>(); // bounded by _room, both
    private readonly Channel<Message> _returned = Channel.CreateUnbounded<Message>();
    private long _messages;

    /// <summary>Gets how many chunks were added; their numbers are 0 to one less.</summary>
    public long Count => Volatile.Read(ref _messages);

    public async ValueTask AddAsync(EncodedChunk chunk, CancellationToken cancellationToken)
    {
        await _room.WaitAsync(cancellationToken).ConfigureAwait(false);
        _fresh.Writer.TryWrite(new Message(_messages, chunk));
        Volatile.Write(ref _messages, _messages + 1);
    }

    /// <summary>Takes a chunk that no worker has had.</summary>
    public ValueTask<Message> TakeAsync(CancellationToken cancellationToken) => _fresh.Reader.ReadAsync(cancellationToken);

    /// <summary>Takes a chunk that was given back.</summary>
    public ValueTask<Message> TakeReturnedAsync(CancellationToken cancellationToken) => _returned.Reader.ReadAsync(cancellationToken);

    /// <summary>Gives a chunk back whose worker was lost.</summary>
    public void GiveBack(Message message) => _returned.Writer.TryWrite(message with { WasReturned = true });

    public void Acknowledge() => _room.Release();

    /// <summary>Waits until everything added was acknowledged. Nothing can be added afterwards.</summary>
    public async Task WhenEmptyAsync(CancellationToken cancellationToken)
    {
        for (var i = 0; i < size; i++) await _room.WaitAsync(cancellationToken).ConfigureAwait(false);
    }
}

/// <summary>A chunk with its number in the epoch, by which the sink knows it again.</summary>
internal readonly record struct Message(long Number, EncodedChunk Chunk, bool WasReturned = false);
