namespace DistributedPatterns.FanOutFanIn.Engine;

/// <summary>One loop: runs slices item by item, measures each, publishes each answer at once.</summary>
internal sealed class BranchLoop<TIn, TOut>(ScatterRun<TIn, TOut> run, string worker, SlicePace pace)
{
    private readonly Func<TIn, CancellationToken, ValueTask<TOut>> _code = run.Branch.Run;
    private readonly CancellationToken _token = run.Token;
    private readonly TimeSpan? _limit = run.Options.ItemLimit;
    private readonly TimeProvider _time = run.Time;
    private readonly double _ticks = (double)TimeSpan.TicksPerSecond / run.Time.TimestampFrequency;
    private long _last;

    public SlicePace Pace => pace;

    public async ValueTask RunAsync(Slice<TIn, TOut> slice)
    {
        var since = _last = _time.GetTimestamp();
        while (!RunReady(slice, out var offset, out var pending))
        {
            if (slice.Published > slice.Gathered) run.Line.Announce(); // it waits for something; what is done should not
            try
            {
                Publish(slice, offset, await pending.ConfigureAwait(false));
            }
            catch (Exception error)
            {
                if (!TryPublishFailure(slice, offset, error)) return;
            }
        }
        pace.Observe(slice.Published, Elapsed(since, _last));
    }

    /// <summary>Runs items until one has to wait, without the state machine that waiting takes.</summary>
    /// <returns>Whether the slice is done.</returns>
    private bool RunReady(Slice<TIn, TOut> slice, out int offset, out ValueTask<TOut> pending)
    {
        pending = default;
        while (slice.TryClaim(out offset))
        {
            try
            {
                pending = _limit is { } limit
                    ? RunWithinAsync(limit, slice.Input(offset), slice.First + offset)
                    : _code(slice.Input(offset), _token);
                if (!pending.IsCompletedSuccessfully) return false;
                Publish(slice, offset, pending.Result);
            }
            catch (Exception error)
            {
                if (!TryPublishFailure(slice, offset, error)) return true;
            }
        }
        return true;
    }

    private void Publish(Slice<TIn, TOut> slice, int offset, TOut value)
    {
        // One look at the clock an item: where one ends, the next begins.
        var (began, now) = (_last, _time.GetTimestamp());
        _last = now;
        slice.Publish(new BranchResult<TOut>(slice.First + offset, value, null, worker, 1, Elapsed(slice.ReadAt, began), Elapsed(began, now)));
    }

    private bool TryPublishFailure(Slice<TIn, TOut> slice, int offset, Exception error)
    {
        if (run.Ending is not null) return false; // what fails after the end follows from it
        var failure = error as BranchException ?? new BranchException(run.Branch.Name, slice.First + offset, worker, error.Message, error);
        if (run.Options.OnError == BranchErrorPolicy.Stop)
        {
            run.Fail(failure);
            return false;
        }
        var (began, now) = (_last, _time.GetTimestamp());
        _last = now;
        slice.Publish(new BranchResult<TOut>(slice.First + offset, default!, failure, worker, 1, Elapsed(slice.ReadAt, began), Elapsed(began, now)));
        return true;
    }

    private async ValueTask<TOut> RunWithinAsync(TimeSpan limit, TIn input, long index)
    {
        using var timer = new CancellationTokenSource(limit, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(run.Token, timer.Token);
        try
        {
            return await _code(input, either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (timer.IsCancellationRequested && !run.Token.IsCancellationRequested)
        {
            throw new BranchTimeoutException(run.Branch.Name, index, worker, limit);
        }
    }

    private TimeSpan Elapsed(long from, long to) => new((long)((to - from) * _ticks));
}
