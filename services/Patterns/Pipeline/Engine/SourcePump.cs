namespace DistributedPatterns.Pipeline.Engine;

/// <summary>Reads a source item by item and hands on chunks that adapt: full ones while items are there, what there is once the source has to wait.</summary>
internal sealed class SourcePump<T>(Func<string, CancellationToken, IAsyncEnumerable<T>> open)
{
    private const int MeterIndex = 0;

    /// <summary>Runs until the source ends, or until <see cref="RunScope.SourceToken"/> says to stop reading.</summary>
    public async Task RunAsync(string input, RunScope scope, int chunkSize, Func<Chunk<T>, ValueTask> emit)
    {
        var meter = scope.Stages[MeterIndex];
        long first = 0;
        var chunk = Chunk<T>.Rent(first, 0, chunkSize);
        try
        {
            var items = open(input, scope.SourceToken);
            if (items is ReadyItems<T> ready)
            {
                foreach (var item in ready.Items)
                {
                    chunk.Items[chunk.Count++] = item;
                    if (chunk.Count < chunkSize) continue;
                    if (scope.SourceToken.IsCancellationRequested) break;
                    await FlushAsync().ConfigureAwait(false);
                }
            }
            else
            {
                var source = items.GetAsyncEnumerator(scope.SourceToken);
                await using var closing = source.ConfigureAwait(false);
                while (true)
                {
                    var next = source.MoveNextAsync();
                    if (!next.IsCompleted)
                    {
                        // Nobody knows when the next item comes: what is here must not wait for it.
                        await FlushAsync().ConfigureAwait(false);
                        var since = scope.Time.GetTimestamp();
                        var more = await next.ConfigureAwait(false);
                        meter.Starved(scope.Time.GetElapsedTime(since));
                        if (!more) break;
                    }
                    else if (!next.Result)
                    {
                        break;
                    }

                    chunk.Items[chunk.Count++] = source.Current;
                    if (chunk.Count < chunkSize) continue;
                    if (scope.SourceToken.IsCancellationRequested) break;
                    await FlushAsync().ConfigureAwait(false);
                }
            }
        }
        catch (OperationCanceledException) when (scope.SourceToken.IsCancellationRequested && !scope.Token.IsCancellationRequested)
        {
            // Drain: the source was told to stop, and this is how it says that it did.
        }
        catch (Exception error) when (error is not PipelineException && !scope.Token.IsCancellationRequested)
        {
            throw new PipelineStageException(meter.Name, first + chunk.Count + 1, error.Message, error);
        }
        await FlushAsync().ConfigureAwait(false);

        async ValueTask FlushAsync()
        {
            if (chunk.Count == 0) return;
            var full = chunk;
            full.Span = full.Count;
            first += full.Count;
            chunk = Chunk<T>.Rent(first, 0, chunkSize);
            meter.Passed(full.Count, full.Count);
            var handedOn = emit(full);
            if (handedOn.IsCompleted)
            {
                handedOn.GetAwaiter().GetResult();
                return;
            }

            var since = scope.Time.GetTimestamp();
            await handedOn.ConfigureAwait(false);
            meter.Blocked(scope.Time.GetElapsedTime(since));
        }
    }
}

/// <summary>A source that never waits. Read as a plain sequence, which costs a fraction of an asynchronous one.</summary>
internal sealed class ReadyItems<T>(IEnumerable<T> items) : IAsyncEnumerable<T>
{
    public IEnumerable<T> Items { get; } = items;

    public IAsyncEnumerator<T> GetAsyncEnumerator(CancellationToken cancellationToken = default) =>
        Items.ToAsyncEnumerable().GetAsyncEnumerator(cancellationToken);
}
