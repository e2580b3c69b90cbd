using System.Diagnostics;
using System.Text.Json;

namespace DistributedPatterns.WorkerPool.Engine;

/// <summary>A job of the pool in this process. What changes is changed by <see cref="JobRecords"/>, under its lock.</summary>
internal sealed class ChannelJob(string id, JobDefinition definition, object? input)
{
    private readonly CancellationTokenSource _cancellation = new();

    public string Id { get; } = id;

    public JobDefinition Definition { get; } = definition;

    public object? Input { get; } = input;

    /// <summary>Gets the span that submitted the job.</summary>
    public ActivityContext CreatedIn { get; } = Activity.Current?.Context ?? default;

    /// <summary>Gets or sets its place among the open jobs.</summary>
    public LinkedListNode<ChannelJob>? Place { get; set; }

    public TaskCompletionSource<JobStatus> Ended { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public JobState State { get; set; }

    public int Attempts { get; set; }

    public string? Worker { get; set; }

    public JobError? Error { get; set; }

    public JsonElement? Result { get; set; }

    /// <summary>Gets or sets the moment of the last change: queued, started, ended.</summary>
    public long Since { get; set; }

    /// <summary>Gets or sets the moment after which the job is not run; 0 for never.</summary>
    public long Deadline { get; init; }

    /// <summary>Gets or sets whether the job was cancelled while it ran: no attempt follows this one.</summary>
    public bool IsTakenBack { get; set; }

    /// <summary>Gets or sets why it was, if it was not by id.</summary>
    public JobError? TakenBack { get; set; }

    /// <summary>Gets what is cancelled with the job.</summary>
    public CancellationToken Cancelled => _cancellation.Token;

    public void Cancel() => _cancellation.Cancel();

    public JobStatus ToStatus() => new()
    {
        Id = Id,
        Job = Definition.Name,
        State = State,
        Attempts = Attempts,
        Worker = Worker,
        Error = Error,
        Result = Result,
    };
}
