namespace DistributedPatterns.Pipeline.Engine;

/// <summary>Takes items from an open source.</summary>
internal interface ISourceReader<T> : IAsyncDisposable
{
    /// <summary>Appends items until the chunk has <paramref name="size"/>, or holds something and the source has to wait.</summary>
    /// <returns>Whether there may be more. What was appended before an exception stays.</returns>
    ValueTask<bool> FillAsync(Chunk<T> chunk, int size);
}

/// <summary>A source that never waits. Read as a plain sequence, which costs a fraction of an asynchronous one.</summary>
internal sealed class ReadyItems<T>(IEnumerable<T> items) : IAsyncEnumerable<T>
{
    public IEnumerable<T> Items { get; } = items;

    public IAsyncEnumerator<T> GetAsyncEnumerator(CancellationToken cancellationToken = default) =>
        Items.ToAsyncEnumerable().GetAsyncEnumerator(cancellationToken);
}

internal sealed class ReadyReader<T>(IEnumerator<T> items) : ISourceReader<T>
{
    // On locals and without a state machine: this loop is all that an item of a ready source costs.
    public ValueTask<bool> FillAsync(Chunk<T> chunk, int size)
    {
        var room = chunk.Items.AsSpan(0, size);
        var count = 0;
        try
        {
            while (count < room.Length && items.MoveNext()) room[count++] = items.Current;
        }
        finally
        {
            chunk.Count = count;
        }
        return new(count == size);
    }

    public ValueTask DisposeAsync()
    {
        items.Dispose();
        return default;
    }
}

internal sealed class WaitingReader<T>(IAsyncEnumerator<T> items, StageMeter meter, RunScope scope) : ISourceReader<T>
{
    // Nobody knows when the next item comes: a chunk that holds something goes on, and the wait is left to the next one.
    private Task<bool>? _awaited;

    public async ValueTask<bool> FillAsync(Chunk<T> chunk, int size)
    {
        if (_awaited is { } awaited)
        {
            var since = scope.Time.GetTimestamp();
            var more = await awaited.ConfigureAwait(false);
            _awaited = null;
            meter.Starved(scope.Time.GetElapsedTime(since));
            if (!more) return false;
            chunk.Items[chunk.Count++] = items.Current;
        }
        return TakeReady(chunk, size);
    }

    public async ValueTask DisposeAsync()
    {
        // An enumerator must not be disposed while it moves. It was told to stop, and what it says now matters no more.
        if (_awaited is not null) await ((Task)_awaited).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await items.DisposeAsync().ConfigureAwait(false);
    }

    private bool TakeReady(Chunk<T> chunk, int size)
    {
        while (chunk.Count < size && !scope.SourceToken.IsCancellationRequested)
        {
            var next = items.MoveNextAsync();
            if (!next.IsCompletedSuccessfully)
            {
                _awaited = next.AsTask();
                return true;
            }
            if (!next.Result) return false;
            chunk.Items[chunk.Count++] = items.Current;
        }
        return true;
    }
}
