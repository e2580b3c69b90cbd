using System.Diagnostics;
using System.Text.Json;

namespace DistributedPatterns.WorkerPool.Engine;

/// <summary>One attempt of a job, the same in both variants: its limits, its span, and what its error means.</summary>
internal static class JobAttempt
{
    /// <param name="left">How much is left until the job's deadline.</param>
    /// <param name="cancelled">Cancelled with the job, or when this worker must stop.</param>
    public static async ValueTask<AttemptOutcome> RunAsync(
        JobDefinition definition, object? input, JobContext context, TimeSpan? left, TimeProvider time,
        string variant, ActivityContext createdIn, CancellationToken cancelled)
    {
        var options = definition.Options;
        var isDeadlineFirst = left < options.TimeLimit;
        using var activity = WorkerPoolTelemetry.StartProcess(definition.Name, variant, context, createdIn);
        using var measured = WorkerPoolTelemetry.Begin(definition.Name, variant, time);
        using var limit = new CancellationTokenSource(isDeadlineFirst ? left!.Value : options.TimeLimit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancelled, limit.Token);
        try
        {
            return new(AttemptVerdict.Done) { Result = await definition.RunAsync(input, context, either.Token).ConfigureAwait(false) };
        }
        catch (OperationCanceledException) when (cancelled.IsCancellationRequested)
        {
            return new(AttemptVerdict.Cancelled);
        }
        catch (Exception thrown) // the job's error, whatever it is
        {
            var isOverLimit = thrown is OperationCanceledException && limit.IsCancellationRequested;
            var error = isOverLimit && !isDeadlineFirst ? new JobTimeLimitException(options.TimeLimit) : thrown;
            activity?.SetStatus(ActivityStatusCode.Error, error.Message);
            measured.Fail(error);
            return isOverLimit && isDeadlineFirst ? new(AttemptVerdict.Dead) { Error = JobError.Deadline } : AttemptOutcome.Of(error, options, context.Attempt, left);
        }
    }
}

/// <summary>What comes after an attempt.</summary>
internal enum AttemptVerdict
{
    Done,
    Retry,
    Failed,
    Dead,
    Cancelled,
}

internal readonly record struct AttemptOutcome(AttemptVerdict Verdict)
{
    public JsonElement? Result { get; init; }

    public JobError? Error { get; init; }

    /// <summary>Gets how long to wait before the next attempt.</summary>
    public TimeSpan Delay { get; init; }

    /// <summary>Says what an error of an attempt means for its job.</summary>
    public static AttemptOutcome Of(Exception error, JobOptions options, int attempt, TimeSpan? left)
    {
        if (!options.IsRetryable(error)) return new(AttemptVerdict.Failed) { Error = JobError.Of(error) };
        if (attempt >= options.MaxAttempts) return new(AttemptVerdict.Dead) { Error = JobError.Of(error) };
        var delay = options.DelayAfter(attempt, Random.Shared);
        return delay >= left
            ? new(AttemptVerdict.Dead) { Error = JobError.Deadline }
            : new(AttemptVerdict.Retry) { Error = JobError.Of(error), Delay = delay };
    }
}
