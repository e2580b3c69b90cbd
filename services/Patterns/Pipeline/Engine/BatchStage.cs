using System.Threading.Channels;

namespace DistributedPatterns.Pipeline.Engine;

/// <summary>Gathers items into arrays, by count or by time.</summary>
internal sealed class BatchStage<T>(int index, int count, TimeSpan maxWait)
{
    /// <summary>Gathers what one message holds, as a worker does.</summary>
    public Chunk<T[]> Apply(Chunk<T> chunk, RunScope scope)
    {
        var output = Chunk<T[]>.Rent(chunk.First, chunk.Span, (chunk.Count + count - 1) / count);
        output.Removed = chunk.Removed;
        for (var i = 0; i < chunk.Count; i += count)
            output.Add(chunk.Items.AsSpan(i, Math.Min(count, chunk.Count - i)).ToArray(), chunk.OffsetOf(i));
        scope.Stages[index].Passed(chunk.Count, output.Count);
        chunk.Return();
        return output;
    }

    public async Task RunAsync(ChannelReader<Chunk<T>> input, ChannelWriter<Chunk<T[]>> output, RunScope scope)
    {
        var meter = scope.Stages[index];
        var items = new List<T>(count);
        long first = 0, since = 0;
        var (span, removed) = (0, 0);
        var blocked = TimeSpan.Zero;
        while (true)
        {
            if (!input.TryRead(out var chunk))
            {
                if (!await WaitAsync().ConfigureAwait(false)) break;
                continue;
            }
            scope.Token.ThrowIfCancellationRequested();
            for (var i = 0; i < chunk.Count; i++)
            {
                if (items.Count == 0)
                {
                    first = chunk.First + chunk.OffsetOf(i);
                    since = scope.Time.GetTimestamp();
                }
                items.Add(chunk.Items[i]);

                // What was removed between this item and the next one belongs to this one's batch.
                var begin = i == 0 ? 0 : chunk.OffsetOf(i);
                span += (i + 1 == chunk.Count ? chunk.Span : chunk.OffsetOf(i + 1)) - begin;
                removed += chunk.RemovedBefore(i + 1) - chunk.RemovedBefore(i);
                if (items.Count == count) await FlushAsync().ConfigureAwait(false);
            }
            chunk.Return();
            if (items.Count > 0 && scope.Time.GetElapsedTime(since) >= maxWait) await FlushAsync().ConfigureAwait(false);
        }
        await FlushAsync().ConfigureAwait(false);

        // False when the input has ended. Flushes when the first item's time is up.
        async ValueTask<bool> WaitAsync()
        {
            var waitingSince = scope.Time.GetTimestamp();
            blocked = TimeSpan.Zero;
            var more = input.WaitToReadAsync(scope.Token).AsTask();
            if (items.Count > 0 && !more.IsCompleted)
            {
                using var stop = CancellationTokenSource.CreateLinkedTokenSource(scope.Token);
                var left = maxWait - scope.Time.GetElapsedTime(since);
                var timeIsUp = left <= TimeSpan.Zero ? Task.CompletedTask : Task.Delay(left, scope.Time, stop.Token);
                if (await Task.WhenAny(more, timeIsUp).ConfigureAwait(false) == timeIsUp) await FlushAsync().ConfigureAwait(false);
                await stop.CancelAsync().ConfigureAwait(false);
            }
            var result = await more.ConfigureAwait(false);
            meter.Starved(scope.Time.GetElapsedTime(waitingSince) - blocked);
            return result;
        }

        async ValueTask FlushAsync()
        {
            if (items.Count == 0) return;
            var batch = Chunk<T[]>.Rent(first, span, 1);
            batch.Add([.. items], 0);
            batch.Removed = removed;
            meter.Passed(items.Count, 1);
            items.Clear();
            (span, removed) = (0, 0);
            blocked += await ChannelStages.WriteAsync(output, batch, meter, scope).ConfigureAwait(false);
        }
    }
}
