using System.Globalization;
using System.Net;

namespace RedisServer;

/// <summary>How the embedded Redis runs.</summary>
/// <param name="Port">Where it listens, on loopback only: REDIS_PORT, 6379 unless set.</param>
/// <param name="Password">What clients must send: REDIS_PASSWORD; none unless set.</param>
/// <param name="DataPath">The folder of its log and checkpoints: <c>Redis:DataPath</c>; a new temporary one unless set.</param>
/// <param name="KeepData">Whether the folder outlives a clean stop: it does when it was given.</param>
/// <param name="CommitWait">
/// <c>Redis:CommitWait</c>, off unless set: answers a write only when the log holds it. Off, a killed process can lose the
/// writes of its last moments although it acknowledged them; on, every write waits for the disk.
/// </param>
/// <param name="LogLimitMegabytes">
/// <c>Redis:LogLimitMegabytes</c>, a power of two from 16 to 4,096, 128 unless set: the length of the log at which a checkpoint cuts
/// it. Looked at every 5 seconds, so the log is longer for a moment.
/// </param>
/// <param name="ScriptsAreAtomic">
/// <c>Redis:LuaTransactionMode</c>, on unless set. Off is for the test that shows what the clients' probe refuses.
/// </param>
internal sealed record GarnetOptions(int Port, string? Password, string DataPath, bool KeepData, bool CommitWait, int LogLimitMegabytes, bool ScriptsAreAtomic)
{
    // A script that waits for the disk keeps its thread, and the pool grows by one or two threads a second: with fewer threads
    // than busy connections nothing is left to finish the commit that all of them wait for.
    private const int ThreadsForCommitWait = 256;

    public static GarnetOptions From(IConfiguration configuration)
    {
        var port = configuration["REDIS_PORT"] is { Length: > 0 } text ? text : "6379";
        if (!int.TryParse(port, NumberStyles.None, CultureInfo.InvariantCulture, out var number) || number is 0 or > IPEndPoint.MaxPort)
            throw new RedisServerException($"REDIS_PORT is '{port}', which is no port: give 1 to {IPEndPoint.MaxPort}.");
        var path = configuration["Redis:DataPath"];
        var given = !string.IsNullOrWhiteSpace(path);
        return new GarnetOptions(
            number,
            configuration["REDIS_PASSWORD"] is { Length: > 0 } password ? password : null,
            given ? Path.GetFullPath(path!) : Path.Combine(Path.GetTempPath(), $"redis-server-{Guid.NewGuid():N}"),
            given,
            configuration.GetValue("Redis:CommitWait", false),
            LogLimit(configuration["Redis:LogLimitMegabytes"]),
            configuration.GetValue("Redis:LuaTransactionMode", true));
    }

    private static int LogLimit(string? text)
    {
        if (string.IsNullOrEmpty(text)) return 128;
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var megabytes) && megabytes is >= 16 and <= 4_096 && int.IsPow2(megabytes)
            ? megabytes
            : throw new RedisServerException($"Redis:LogLimitMegabytes is '{text}': give a power of two from 16 to 4096.");
    }

    /// <summary>Garnet's own settings, sized for a sample: its defaults reserve 16 GB and write segments of 1 GB.</summary>
    public string[] ToArguments() =>
    [
        "--bind", "127.0.0.1",
        "--port", Port.ToString(CultureInfo.InvariantCulture),
        .. Password is null ? Array.Empty<string>() : ["--auth", "Password", "--password", Password],
        // Without the second flag scripts interleave: 2,195 of 2,400 increments survived.
        "--lua",
        .. ScriptsAreAtomic ? ["--lua-transaction-mode"] : Array.Empty<string>(),
        "--logdir", DataPath,
        "--checkpointdir", DataPath,
        // Linux' default device kills the process where libaio is missing.
        "--device-type", "RandomAccess",
        // What does not fit into memory goes to disk. Without this tier it would be dropped: Garnet has no 'noeviction'.
        "--storage-tier",
        // 256 MB for records. The other limit is for records and what they hold (hashes, sorted sets) together, and Garnet 2.2.8 counts an object again at each
        // checkpoint after which it changes: at 256 MB a topic's log of 80 MB went to disk after three of them, came back for one call, went again, and for
        // minutes nothing answered. What objects take is bounded by the patterns.
        "--memory", "64g", "--page", "4m", "--pagecount", "64", "--segment", "64m", "--index", "16m",
        "--compaction-type", "Lookup", "--compaction-max-segments", "8",
        // Past its limit the log is cut by a checkpoint; without a limit it grows for ever.
        // Without the last flag a log that cannot be read is a server that starts empty and says nothing.
        "--aof", "--recover", "--fail-on-recovery-error",
        "--aof-memory", $"{Math.Min(LogLimitMegabytes, 32)}m", "--aof-page-size", "8m",
        "--aof-segment-size", $"{Math.Min(LogLimitMegabytes, 64)}m", "--aof-size-limit", $"{LogLimitMegabytes}m",
        .. CommitWait ? ["--aof-commit-wait", "--minthreads", ThreadsForCommitWait.ToString(CultureInfo.InvariantCulture)] : Array.Empty<string>(),
        "--logger-level", "Warning",
        "-q",
    ];
}
