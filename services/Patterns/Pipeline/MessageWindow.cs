using System.Threading.Channels;
using DistributedPatterns.Pipeline.Engine;

namespace DistributedPatterns.Pipeline;

/// <summary>The chunks of one epoch that are read but not acknowledged. Bounded: the source waits while it is full.</summary>
internal sealed class MessageWindow(int size)
{
    private readonly SemaphoreSlim _room = new(size, size);
    private readonly Channel<Message> _ready = Channel.CreateUnbounded<Message>(); // bounded by _room
    private long _messages;

    /// <summary>Gets how many chunks were added; their numbers are 0 to one less.</summary>
    public long Count => Volatile.Read(ref _messages);

    public async ValueTask AddAsync(EncodedChunk chunk, CancellationToken cancellationToken)
    {
        await _room.WaitAsync(cancellationToken).ConfigureAwait(false);
        _ready.Writer.TryWrite(new Message(_messages, chunk));
        Volatile.Write(ref _messages, _messages + 1);
    }

    /// <summary>Takes a chunk that is with no worker.</summary>
    public ValueTask<Message> TakeAsync(CancellationToken cancellationToken) => _ready.Reader.ReadAsync(cancellationToken);

    /// <summary>Gives a chunk back whose worker was lost.</summary>
    public void GiveBack(Message message) => _ready.Writer.TryWrite(message);

    public void Acknowledge() => _room.Release();

    /// <summary>Waits until everything added was acknowledged. Nothing can be added afterwards.</summary>
    public async Task WhenEmptyAsync(CancellationToken cancellationToken)
    {
        for (var i = 0; i < size; i++) await _room.WaitAsync(cancellationToken).ConfigureAwait(false);
    }
}

/// <summary>A chunk with its number in the epoch, by which the sink knows it again.</summary>
internal readonly record struct Message(long Number, EncodedChunk Chunk);
