using System.Globalization;

namespace DistributedPatterns.Tests.Soak;

/// <summary>The whole system as the soak needs it: an acknowledged write is on disk, the log is cut often, leases are short.</summary>
public sealed class SoakSystem : RunningSystem
{
    public static readonly TimeSpan Lease = TimeSpan.FromSeconds(3);

    protected override IReadOnlyDictionary<string, string> Settings { get; } = new Dictionary<string, string>
    {
        // Without it a killed Redis loses the last moments of what it acknowledged, and "accepted" would mean nothing exact.
        ["Redis__CommitWait"] = "true",
        ["Redis__LogLimitMegabytes"] = "16",
        ["Patterns__WorkerPool__Redis__Lease"] = Lease.ToString("c", CultureInfo.InvariantCulture),
        ["Patterns__MapReduce__Redis__Lease"] = Lease.ToString("c", CultureInfo.InvariantCulture),
        // Every job can be asked for to the end: one that is not known any more is lost.
        ["Patterns__WorkerPool__Redis__KeepEnded"] = "1000000",
        ["Patterns__WorkerPool__Redis__KeepEndedFor"] = "1.00:00:00",
        // Whoever stays away for half a minute has missed something for good.
        ["Patterns__PublishSubscribe__events__Retain"] = "200",
        // More processes die here within a minute than a supervisor should put up with.
        ["Patterns__Supervision__Redis__MaxRestarts"] = "1000",
        ["Logging__LogLevel__Default"] = "Warning",
    };

    /// <summary>Gets the names of the checkpoints that Redis has at present.</summary>
    public IReadOnlyList<string> Checkpoints()
    {
        var run = new DirectoryInfo(Path.Combine(AppHostDirectory, ".data")).EnumerateDirectories("run-*").MaxBy(folder => folder.CreationTimeUtc);
        var checkpoints = new DirectoryInfo(Path.Combine(run?.FullName ?? "", "redis", "Store", "checkpoints", "cpr-checkpoints"));
        return checkpoints.Exists ? [.. checkpoints.EnumerateDirectories().Select(folder => folder.Name)] : [];
    }
}
