using System.Collections.Concurrent;
using Polly;
using Polly.Retry;

namespace DistributedPatterns.Deadlines.Engine;

/// <summary>Tries again inside the budget, and only what may succeed then.</summary>
internal sealed class BudgetRetries(TimeProvider time)
{
    private static readonly ResiliencePropertyKey<Deadline> s_deadline = new("deadline");

    private readonly ConcurrentDictionary<(int, TimeSpan), ResiliencePipeline> _pipelines = new();

    /// <param name="attempt">Gets the number of the attempt, from 1.</param>
    public async Task<T> RunAsync<T>(BudgetedCall call, Deadline deadline, Func<int, ValueTask<T>> attempt, CancellationToken cancellationToken)
    {
        if (call.MaxAttempts == 1) return await attempt(AmbientDeadline.Attempt).ConfigureAwait(false); // that of who retries further out
        var context = ResilienceContextPool.Shared.Get(continueOnCapturedContext: false, cancellationToken);
        context.Properties.Set(s_deadline, deadline);
        var number = 0;
        try
        {
            return await PipelineOf(call).ExecuteAsync(_ => attempt(++number), context).ConfigureAwait(false);
        }
        finally
        {
            ResilienceContextPool.Shared.Return(context);
        }
    }

    private ResiliencePipeline PipelineOf(BudgetedCall call) => _pipelines.GetOrAdd((call.MaxAttempts, call.RetryDelay), static (key, time) =>
    {
        var (attempts, delay) = key;
        return new ResiliencePipelineBuilder { TimeProvider = time }.AddRetry(new RetryStrategyOptions
        {
            MaxRetryAttempts = attempts - 1,
            ShouldHandle = args => new(args.Outcome.Exception is OperationUnavailableException && !DeadlineOf(args.Context).HasPassed),
            DelayGenerator = args =>
            {
                var upper = delay * Math.Pow(2, args.AttemptNumber + 1);
                var left = DeadlineOf(args.Context).Remaining / 2; // an attempt needs time as well
                return new((upper < left ? upper : left) * Random.Shared.NextDouble());
            },
        }).Build();
    }, time);

    private static Deadline DeadlineOf(ResilienceContext context) => context.Properties.GetValue(s_deadline, Deadline.None);
}
