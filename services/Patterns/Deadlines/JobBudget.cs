using DistributedPatterns.WorkerPool;

namespace DistributedPatterns.Deadlines;

/// <summary>Lets a budget go along with a job.</summary>
public static class JobBudget
{
    /// <summary>Gives the job what is left of a budget, unless it has less: waiting and retries included. The pool drops a job whose time is over before it runs.</summary>
    /// <remarks>In Redis it is kept on the server's clock, so the clocks of who submits and who works need not agree.</remarks>
    /// <exception cref="DeadlineExceededException">Nothing is left.</exception>
    public static JobRequest Within(this JobRequest request, Deadline deadline)
    {
        ArgumentNullException.ThrowIfNull(request);
        if (deadline.IsNone) return request;
        var left = deadline.Remaining;
        if (left < TimeSpan.FromMilliseconds(1)) throw new DeadlineExceededException($"Job '{request.Job}'", deadline.Budget, started: false);
        return request.TimeToLive is { } own && own <= left ? request : request with { TimeToLive = left };
    }
}
