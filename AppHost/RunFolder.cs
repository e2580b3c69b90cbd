using System.Diagnostics.CodeAnalysis;

namespace DistributedPatterns;

/// <summary>Where one run keeps its data: <c>AppHost/.data/{run}</c>, deleted when the run ends.</summary>
/// <remarks>
/// A run holds a lock file beside its folder. The system drops the lock when the process dies, however it dies, so the next
/// run can tell the folders of the dead from those of the living and deletes the former.
/// </remarks>
internal sealed class RunFolder : IDisposable
{
    private readonly string _path;
    private readonly List<FileStream> _locks;

    private RunFolder(string path, string redisData, List<FileStream> locks)
    {
        (_path, RedisData, _locks) = (path, redisData, locks);
        SharedData = Directory.CreateDirectory(Path.Combine(path, "shared")).FullName;
        Directory.CreateDirectory(redisData);
    }

    /// <summary>Gets the folder of inputs and uploads that all services share.</summary>
    public string SharedData { get; }

    /// <summary>Gets the embedded Redis' folder, which outlives the run if the settings say so.</summary>
    public string RedisData { get; }

    /// <summary>Opens a new run's folder and deletes those of dead runs, or says what is in the way.</summary>
    public static string? TryOpen(string appHostDirectory, Settings settings, [NotNull] out RunFolder? folder)
    {
        var root = Path.Combine(appHostDirectory, ".data");
        Directory.CreateDirectory(root);
        DeleteDead(root);

        var path = Path.Combine(root, $"run-{Path.GetRandomFileName()[..8]}");
        var locks = new List<FileStream> { TryLock(path) ?? throw new IOException($"'{path}' is locked, although its name is new.") };
        string? obstacle = null;
        if (settings.PersistRedis)
        {
            if (TryLock(Path.Combine(root, "redis")) is { } lease)
            {
                locks.Add(lease);
            }
            else
            {
                obstacle = $"Another run uses the data that Redis:Persist keeps in '{Path.Combine(root, "redis")}'. Stop it, or leave Redis:Persist out.";
            }
        }

        folder = new(path, Path.Combine(settings.PersistRedis ? root : path, "redis"), locks);
        if (obstacle is not null)
        {
            folder.Dispose();
        }

        return obstacle;
    }

    public void Dispose()
    {
        var isDeleted = TryDelete(_path);
        _locks.ForEach(l => l.Dispose());
        if (!isDeleted) LeaveToTheNextRun(_path);
    }

    private static void DeleteDead(string root)
    {
        foreach (var lockFile in Directory.EnumerateFiles(root, "run-*.lock"))
        {
            var path = Path.ChangeExtension(lockFile, null);
            if (TryLock(path) is not { } lease)
            {
                continue;
            }

            var isDeleted = TryDelete(path);
            lease.Dispose();
            if (!isDeleted) LeaveToTheNextRun(path);
        }
    }

    private static FileStream? TryLock(string path)
    {
        try
        {
            return new(path + ".lock", FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1, FileOptions.DeleteOnClose);
        }
        catch (IOException)
        {
            return null;
        }
    }

    /// <returns>False when some process still writes there.</returns>
    private static bool TryDelete(string path)
    {
        try
        {
            Directory.Delete(path, recursive: true);
        }
        catch (DirectoryNotFoundException)
        {
            // Its run died before it made the folder.
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }

        return true;
    }

    /// <summary>Without its lock file the folder would never be deleted, and the file goes when the lock does.</summary>
    private static void LeaveToTheNextRun(string path)
    {
        try
        {
            File.WriteAllText(path + ".lock", "");
        }
        catch (IOException)
        {
            // Another run has it already.
        }
    }
}
