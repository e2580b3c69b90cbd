namespace DistributedPatterns.Pipeline.Engine;

/// <summary>Reads a source item by item and hands on chunks that adapt: full ones while items are there, what there is once the source has to wait.</summary>
internal sealed class SourcePump<T>(Func<string, CancellationToken, IAsyncEnumerable<T>> open)
{
    private const int MeterIndex = 0;

    /// <summary>Runs until the source ends, or until <see cref="RunScope.SourceToken"/> says to stop reading.</summary>
    public async Task RunAsync(string input, RunScope scope, int chunkSize, Func<Chunk<T>, ValueTask> emit)
    {
        var meter = scope.Stages[MeterIndex];
        ISourceReader<T>? reader = null;
        long first = 0;
        try
        {
            for (var more = true; more && first < scope.ReadLimit && !scope.SourceToken.IsCancellationRequested;)
            {
                var size = (int)Math.Min(chunkSize, scope.ReadLimit - first);
                var chunk = Chunk<T>.Rent(first, 0, chunkSize);
                try
                {
                    reader ??= Open(input, scope);
                    more = await reader.FillAsync(chunk, size).ConfigureAwait(false);
                }
                catch (OperationCanceledException) when (scope.SourceToken.IsCancellationRequested && !scope.Token.IsCancellationRequested)
                {
                    // Drain: the source was told to stop, and this is how it says that it did.
                }
                catch (Exception error) when (error is not PipelineException && !scope.Token.IsCancellationRequested)
                {
                    throw new PipelineStageException(meter.Name, first + chunk.Count + 1, error.Message, error);
                }
                finally
                {
                    // What was taken counts as read, even if an error drops it.
                    chunk.Span = chunk.Count;
                    first += chunk.Count;
                    meter.Passed(chunk.Count, chunk.Count);
                }
                await HandOnAsync(chunk, emit, meter, scope).ConfigureAwait(false);
            }
        }
        finally
        {
            if (reader is not null) await reader.DisposeAsync().ConfigureAwait(false);
        }
    }

    private ISourceReader<T> Open(string input, RunScope scope) => open(input, scope.SourceToken) is var items && items is ReadyItems<T> ready
        ? new ReadyReader<T>(ready.Items.GetEnumerator())
        : new WaitingReader<T>(items.GetAsyncEnumerator(scope.SourceToken), scope.Stages[MeterIndex], scope);

    private static async ValueTask HandOnAsync(Chunk<T> chunk, Func<Chunk<T>, ValueTask> emit, StageMeter meter, RunScope scope)
    {
        if (chunk.Count == 0)
        {
            chunk.Return();
            return;
        }
        var handedOn = emit(chunk);
        if (handedOn.IsCompleted)
        {
            await handedOn.ConfigureAwait(false);
            return;
        }
        var since = scope.Time.GetTimestamp();
        await handedOn.ConfigureAwait(false);
        meter.Blocked(scope.Time.GetElapsedTime(since));
    }
}
