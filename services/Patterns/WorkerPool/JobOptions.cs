namespace DistributedPatterns.WorkerPool;

/// <summary>How often and how long a job is tried.</summary>
public sealed class JobOptions
{
    /// <summary>Gets or sets how long one attempt may take before its token is cancelled; that counts as an error of the attempt.</summary>
    /// <value>From 1 millisecond to 1 day; 5 minutes unless set.</value>
    public TimeSpan TimeLimit { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>Gets or sets how often the job is handed to a worker in all. The job is dead when the last attempt throws, or takes its worker with it.</summary>
    /// <value>From 1 (no retry) to 100; 3 unless set.</value>
    public int MaxAttempts { get; set; } = 3;

    /// <summary>Gets or sets the upper end of the delay before the second attempt; it doubles from there up to <see cref="MaxRetryDelay"/>.</summary>
    /// <value>From 1 millisecond to 1 hour; 200 milliseconds unless set. The delay is random between 0 and the upper end
    /// ("full jitter"), so that jobs which failed together do not come back together.</value>
    public TimeSpan RetryDelay { get; set; } = TimeSpan.FromMilliseconds(200);

    /// <summary>Gets or sets where the doubling ends.</summary>
    /// <value>From <see cref="RetryDelay"/> to 1 day; 30 seconds unless set.</value>
    public TimeSpan MaxRetryDelay { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Gets or sets which errors are worth another attempt. The others end the job as failed.</summary>
    /// <value>All but <see cref="JobRefusedException"/> unless set.</value>
    public Func<Exception, bool> IsRetryable { get; set; } = static error => error is not JobRefusedException;

    /// <summary>Returns how long to wait after an attempt, from 1 ms.</summary>
    /// <remarks>Marc Brooker, "Exponential Backoff and Jitter" (AWS Architecture Blog, 2015).</remarks>
    internal TimeSpan DelayAfter(int attempt, Random random)
    {
        var upper = Math.Min(RetryDelay.TotalMilliseconds * Math.Pow(2, attempt - 1), MaxRetryDelay.TotalMilliseconds);
        return TimeSpan.FromMilliseconds(Math.Max(1, upper * random.NextDouble()));
    }

    internal void Validate(string job)
    {
        Check(TimeLimit >= TimeSpan.FromMilliseconds(1) && TimeLimit <= TimeSpan.FromDays(1), nameof(TimeLimit), TimeLimit, "1 ms to 1 day");
        Check(MaxAttempts is >= 1 and <= 100, nameof(MaxAttempts), MaxAttempts, "1 to 100");
        Check(RetryDelay >= TimeSpan.FromMilliseconds(1) && RetryDelay <= TimeSpan.FromHours(1), nameof(RetryDelay), RetryDelay, "1 ms to 1 hour");
        Check(MaxRetryDelay >= RetryDelay && MaxRetryDelay <= TimeSpan.FromDays(1), nameof(MaxRetryDelay), MaxRetryDelay, "RetryDelay to 1 day");

        void Check(bool ok, string option, object value, string accepted)
        {
            if (!ok) throw new ArgumentOutOfRangeException(option, value, $"Job '{job}': {option} takes {accepted}.");
        }
    }
}
