using DistributedPatterns.Diagnostics;

namespace DistributedPatterns.WorkerPool.Engine;

/// <summary>Runs one attempt of a job on a worker and writes down how it went.</summary>
internal sealed class ChannelJobRunner(string process, JobRecords records, TimeProvider time)
{
    /// <returns>How long to wait before the next attempt, or <see langword="null"/> when the job has ended.</returns>
    public async ValueTask<TimeSpan?> RunAsync(ChannelJob job, int worker, CancellationToken cancelled)
    {
        var name = $"{process}/{worker}";
        if (!records.TryStart(job, name)) return null; // cancelled between queue and worker
        if (Left(job) is { } left && left <= TimeSpan.Zero)
        {
            records.End(job, JobState.Dead, JobError.Deadline);
            return null;
        }

        var context = new JobContext(job.Id, job.Attempts, name, Fence: 0);
        var outcome = await JobAttempt.RunAsync(job.Definition, job.Input, context, Left(job), time, Variants.Channel, job.CreatedIn, cancelled).ConfigureAwait(false);
        return End(job, outcome);
    }

    private TimeSpan? End(ChannelJob job, AttemptOutcome outcome)
    {
        if (outcome.Result is { } result) records.End(job, JobState.Done, result: result);
        else if (outcome.Verdict == AttemptVerdict.Retry && records.TryRetry(job, outcome.Error!)) return outcome.Delay;
        else records.End(job, StateOf(outcome.Verdict), job.TakenBack ?? outcome.Error);
        return null;
    }

    private static JobState StateOf(AttemptVerdict verdict) => verdict switch
    {
        AttemptVerdict.Failed => JobState.Failed,
        AttemptVerdict.Dead => JobState.Dead,
        _ => JobState.Cancelled, // also a retry that somebody cancelled meanwhile
    };

    private TimeSpan? Left(ChannelJob job) => job.Deadline == 0 ? null : time.GetElapsedTime(time.GetTimestamp(), job.Deadline);
}
