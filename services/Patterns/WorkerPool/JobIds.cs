namespace DistributedPatterns.WorkerPool;

/// <summary>Ids that begin with the job's name, so that the id alone says what it is, whichever process is asked.</summary>
public static class JobIds
{
    private const char Separator = '~';

    /// <summary>Makes a new id.</summary>
    public static string New(string job) => Of(job, Guid.CreateVersion7().ToString("N"));

    /// <summary>Makes the id that a job has under a caller's key.</summary>
    public static string Of(string job, string key) => $"{job}{Separator}{key}";

    internal static string? JobOf(string id) => id.IndexOf(Separator) is > 0 and var at ? id[..at] : null;
}
