using System.Globalization;

namespace DistributedPatterns.MapReduce.Engine;

/// <summary>The files of one job. Each attempt writes files of its own; which of them count is decided elsewhere.</summary>
internal sealed class JobFolder(string work, string id)
{
    public string Path { get; } = System.IO.Path.Combine(work, id);

    public void Create() => Directory.CreateDirectory(Path);

    public string Map(int task, string attempt) => File(string.Create(CultureInfo.InvariantCulture, $"map-{task}-{attempt}"));

    public string Reduce(int task, string attempt) => File(string.Create(CultureInfo.InvariantCulture, $"reduce-{task}-{attempt}"));

    public string Result(string attempt) => File($"result-{attempt}.txt");

    /// <summary>Deletes everything, or all but one file. What cannot be deleted now goes by its age.</summary>
    public void Delete(string? except = null)
    {
        try
        {
            if (!Directory.Exists(Path)) return;
            if (except is null)
            {
                Directory.Delete(Path, recursive: true);
                return;
            }
            foreach (var file in Directory.EnumerateFiles(Path))
                if (file != except) System.IO.File.Delete(file);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // Somebody still writes there; the sweep of old folders finds it.
        }
    }

    /// <summary>Deletes the folders of jobs in which nothing was written for some time.</summary>
    /// <param name="isNeeded">Whether a job, by its id, still needs its folder.</param>
    public static void Sweep(string work, DateTime writtenBefore, Func<string, bool> isNeeded)
    {
        var folder = new DirectoryInfo(work);
        if (!folder.Exists) return;
        foreach (var job in folder.EnumerateDirectories())
            if (job.LastWriteTimeUtc < writtenBefore && !isNeeded(job.Name)) new JobFolder(work, job.Name).Delete();
    }

    private string File(string name) => System.IO.Path.Combine(Path, name);
}
