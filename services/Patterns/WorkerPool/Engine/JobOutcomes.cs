using System.Text.Json;
using DistributedPatterns.ProducerConsumer;

namespace DistributedPatterns.WorkerPool.Engine;

/// <summary>Writes outcomes as the queue keeps them, and reads them back.</summary>
internal static class JobOutcomes
{
    /// <summary>Makes the settlement that says how an attempt went.</summary>
    public static Settlement ToSettlement(Delivery<JobEnvelope> delivery, AttemptOutcome outcome, string worker)
    {
        var job = delivery.Payload.Job;
        return outcome.Verdict switch
        {
            AttemptVerdict.Done => Settlement.Ack(delivery, Bytes(new(job, worker, outcome.Result))),
            AttemptVerdict.Failed => Failed(delivery, outcome.Error!, worker),
            AttemptVerdict.Retry => Settlement.Nack(delivery, outcome.Delay, Text(outcome.Error!)),
            AttemptVerdict.Dead => Settlement.DeadLetter(delivery, Text(outcome.Error!)),
            // Ends the job if it was cancelled by id; else it was handed back, and the attempt does not count.
            _ => Settlement.Release(delivery),
        };
    }

    public static Settlement Failed(Delivery<JobEnvelope> delivery, JobError error, string worker) =>
        Settlement.Fail(delivery, Bytes(new(delivery.Payload.Job, worker, Error: error)));

    public static JobStatus ToStatus(WorkItemStatus item)
    {
        var status = new JobStatus { Id = item.Id, Job = JobIds.JobOf(item.Id), State = StateOf(item.State), Attempts = item.Attempts };
        if (item.State != WorkItemState.Done) return status with { Error = ErrorOf(item) };
        var stored = JsonSerializer.Deserialize(item.Result.Span, WorkerPoolJson.Default.StoredOutcome)!;
        return status with
        {
            Job = stored.Job,
            Worker = stored.Worker,
            State = stored.Error is null ? JobState.Done : JobState.Failed,
            Error = stored.Error,
            Result = stored.Result,
        };
    }

    private static JobState StateOf(WorkItemState state) => state switch
    {
        WorkItemState.Ready or WorkItemState.Delayed => JobState.Queued,
        WorkItemState.Leased => JobState.Running,
        WorkItemState.Done => JobState.Done,
        WorkItemState.Cancelled => JobState.Cancelled,
        _ => JobState.Dead,
    };

    // The queue's note is a word for what happened and, behind it, the reason that was given.
    private static JobError? ErrorOf(WorkItemStatus item)
    {
        if (item.State == WorkItemState.Cancelled || item.Note.Length == 0) return null;
        var (what, reason) = Split(item.Note, " ");
        if (what is "expired" or "never-delivered") return JobError.Expired;
        if (what == "ttl") return JobError.Deadline;
        var (kind, message) = Split(reason, ": ");
        return what is "nack" or "dead" && kind.Length > 0 ? new JobError(kind, message) : null;
    }

    private static (string Head, string Tail) Split(string text, string separator) =>
        text.IndexOf(separator, StringComparison.Ordinal) is >= 0 and var at ? (text[..at], text[(at + separator.Length)..]) : (text, "");

    private static string Text(JobError error) => $"{error.Kind}: {error.Message}";

    private static byte[] Bytes(StoredOutcome outcome) => JsonSerializer.SerializeToUtf8Bytes(outcome, WorkerPoolJson.Default.StoredOutcome);
}
