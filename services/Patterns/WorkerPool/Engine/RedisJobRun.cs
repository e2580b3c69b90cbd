using DistributedPatterns.Diagnostics;
using DistributedPatterns.ProducerConsumer;
using DistributedPatterns.Redis;
using Microsoft.Extensions.Logging;

namespace DistributedPatterns.WorkerPool.Engine;

/// <summary>One attempt of a job in this process, from its delivery to its settlement.</summary>
internal sealed partial class RedisJobRun(
    Delivery<JobEnvelope> delivery, string worker, JobCatalog catalog, IWorkQueue<JobEnvelope> queue, TimeProvider time, ILogger logger)
{
    private readonly long _startedAt = time.GetTimestamp();

    public string Id => delivery.Id;

    public string Job => delivery.Payload.Job;

    public int Attempt => delivery.Attempt;

    public TimeSpan Since => time.GetElapsedTime(_startedAt);

    /// <summary>Gets a task that ends with the attempt and never fails.</summary>
    public Task Ended { get; private set; } = Task.CompletedTask;

    /// <param name="onEnded">Called when the worker is free again.</param>
    /// <param name="handBack">Cancelled when this process must not go on with the job.</param>
    public void Start(Action onEnded, CancellationToken handBack) => Ended = Task.Run(() => RunAsync(onEnded, handBack), CancellationToken.None);

    private async Task RunAsync(Action onEnded, CancellationToken handBack)
    {
        try
        {
            var outcome = await AttemptAsync(handBack).ConfigureAwait(false);
            // A worker that lost its lease and was stopped has nothing to say. One that has a result all the same says so: the fence decides.
            if (outcome.Verdict == AttemptVerdict.Cancelled && delivery.LeaseLost.IsCancellationRequested) return;
            await SettleAsync(outcome).ConfigureAwait(false);
        }
        catch (Exception error) when (RedisRetry.IsOutage(error) || error is ObjectDisposedException)
        {
            LogNotSettled(Id, error.Message);
        }
        catch (Exception error)
        {
            LogBug(Id, error); // the lease gives the job back
        }
        finally
        {
            onEnded();
        }
    }

    private async ValueTask<AttemptOutcome> AttemptAsync(CancellationToken handBack)
    {
        JobDefinition definition;
        object? input;
        try
        {
            definition = catalog.Get(Job);
            input = definition.Read(delivery.Payload.Input);
        }
        catch (UnknownJobException error)
        {
            // A process of another version may know it.
            return AttemptOutcome.Of(error, new JobOptions(), Attempt, delivery.TimeLeft);
        }
        catch (JobInputException error)
        {
            return new(AttemptVerdict.Failed) { Error = JobError.Of(error) };
        }
        // The workers of all attempts died, or were cut off: nobody was there to count.
        if (Attempt > definition.Options.MaxAttempts) return new(AttemptVerdict.Dead) { Error = JobError.Expired };

        using var stop = CancellationTokenSource.CreateLinkedTokenSource(handBack, delivery.LeaseLost, delivery.CancelRequested);
        var context = new JobContext(Id, Attempt, worker, delivery.Token);
        return await JobAttempt.RunAsync(definition, input, context, delivery.TimeLeft, time, Variants.Distributed, delivery.CreatedIn, stop.Token).ConfigureAwait(false);
    }

    private async Task SettleAsync(AttemptOutcome outcome)
    {
        IReadOnlyList<SettleOutcome> settled;
        try
        {
            settled = await queue.SettleAsync([JobOutcomes.ToSettlement(delivery, outcome, worker)]).ConfigureAwait(false);
        }
        catch (PayloadTooLargeException tooLarge)
        {
            settled = await queue.SettleAsync([JobOutcomes.Failed(delivery, JobError.Of(tooLarge), worker)]).ConfigureAwait(false);
        }
        if (settled[0] == SettleOutcome.Stale) LogFenced(Id, delivery.Token, outcome.Verdict);
    }

    [LoggerMessage(LogLevel.Warning, "The outcome of job {Id}, token {Token}, is refused: another attempt has the job. It was {Verdict}")]
    private partial void LogFenced(string id, long token, AttemptVerdict verdict);

    [LoggerMessage(LogLevel.Warning, "The outcome of job {Id} could not be told; its lease will give it back: {Reason}")]
    private partial void LogNotSettled(string id, string reason);

    [LoggerMessage(LogLevel.Error, "Job {Id} could not be run")]
    private partial void LogBug(string id, Exception error);
}
