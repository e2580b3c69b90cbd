using Polly;
using Polly.Hedging;

namespace DistributedPatterns.FanOutFanIn.Engine;

/// <summary>Asks candidates by Polly's hedging, each as a gathering of its own, and takes the first success.</summary>
/// <remarks>
/// Polly starts the next candidate, cancels the losers and waits for them; the delay is ours. It is the 95th percentile of
/// what the branch took lately: one call in twenty is hedged, and the slowest ones are those that are.
/// See Dean and Barroso, "The Tail at Scale".
/// </remarks>
internal sealed class FirstWins<TIn, TOut>(
    BranchDefinition<TIn, TOut> branch, IReadOnlyList<TIn> candidates, FirstOptions options, ScatterHost host,
    Func<ListIntake<TIn>, int, ScatterOptions<TIn>, IGather<TOut>> ask)
{
    private readonly BranchLatency _latency = host.LatencyOf(branch.Name);
    private readonly long _since = host.Time.GetTimestamp();
    private int _started;
    private int _failed;

    private TimeSpan? Remaining => options.Deadline - host.Time.GetElapsedTime(_since);

    public async Task<FirstAnswer<TOut>> RunAsync(CancellationToken cancellationToken)
    {
        options.Check();
        ScatterRanges.Candidates(candidates.Count);
        cancellationToken.ThrowIfCancellationRequested();

        var delay = options.Start == FirstStart.Together ? TimeSpan.Zero : _latency.P95() ?? options.FirstDelay;
        using var limit = options.Deadline is { } deadline ? new CancellationTokenSource(deadline, host.Time) : new CancellationTokenSource();
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            var winner = await Hedging(delay).ExecuteAsync(AskNextAsync, either.Token).ConfigureAwait(false);
            return new FirstAnswer<TOut>(winner, Report(done: 1, winner), _started, delay);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            throw new OperationCanceledException(cancellationToken);
        }
        catch (Exception error) when (error is ScatterDeadlineException || (error is OperationCanceledException && limit.IsCancellationRequested))
        {
            throw new ScatterDeadlineException(options.Deadline!.Value, Report(done: 0, default));
        }
        finally
        {
            host.CountHedged(branch.Name, options.Start == FirstStart.Hedged ? Math.Max(0, _started - 1) : 0);
        }
    }

    private ResiliencePipeline<BranchResult<TOut>> Hedging(TimeSpan delay)
    {
        var pipeline = new ResiliencePipelineBuilder<BranchResult<TOut>> { TimeProvider = host.Time };
        return candidates.Count == 1 ? pipeline.Build() : pipeline.AddHedging(new HedgingStrategyOptions<BranchResult<TOut>>
        {
            MaxHedgedAttempts = candidates.Count - 1,
            Delay = delay,
            ShouldHandle = new PredicateBuilder<BranchResult<TOut>>().Handle<ScatterException>(error => error is not ScatterDeadlineException),
        }).Build();
    }

    private async ValueTask<BranchResult<TOut>> AskNextAsync(CancellationToken cancellationToken)
    {
        var candidate = Interlocked.Increment(ref _started) - 1;
        var since = host.Time.GetTimestamp();
        try
        {
            var only = new ListIntake<TIn>([candidates[candidate]], host.Time, candidate);
            var gather = ask(only, candidate, new ScatterOptions<TIn> { Degree = 1, Deadline = AtLeastAMoment(Remaining) });
            await foreach (var result in gather.WithCancellation(cancellationToken).ConfigureAwait(false)) return result;
            throw new InvalidOperationException($"Branch '{branch.Name}' ended without an answer."); // a bug of ours
        }
        catch (BranchException)
        {
            Interlocked.Increment(ref _failed);
            throw;
        }
        finally
        {
            // Only the first candidate's times teach what is usual: it is always asked, the others when it is slow. If it loses
            // it took this long at least; leaving that out would make the percentile shrink with each hedge.
            if (candidate == 0 && options.Start == FirstStart.Hedged) _latency.Add(host.Time.GetElapsedTime(since));
        }
    }

    private GatherReport Report(int done, BranchResult<TOut> winner) => new()
    {
        Branch = branch.Name,
        Asked = candidates.Count,
        Done = done,
        Failed = _failed,
        Retried = winner.Attempt > 1 ? 1 : 0,
        Workers = done == 0 ? [] : [new WorkerShare(winner.Worker, 1, winner.Run)],
        Median = winner.Run,
        Slowest = winner.Run,
        Elapsed = host.Time.GetElapsedTime(_since),
    };

    private static TimeSpan? AtLeastAMoment(TimeSpan? left) => left < TimeSpan.FromMilliseconds(1) ? TimeSpan.FromMilliseconds(1) : left;
}
