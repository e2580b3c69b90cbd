namespace DistributedPatterns.Tests;

public sealed class RunFolderTests : IDisposable
{
    private static readonly Settings s_settings = new(0, 1, 1, 1, 1, null, PersistRedis: false, ChaosToken: null);

    private readonly string _appHost = Directory.CreateTempSubdirectory("run-folder-").FullName;

    public void Dispose() => Directory.Delete(_appHost, recursive: true);

    [Fact]
    public void Dispose_DeletesTheRunAndItsLock()
    {
        Assert.Null(RunFolder.TryOpen(_appHost, s_settings, out var run));
        File.WriteAllText(Path.Combine(run.SharedData, "upload"), "x");
        Assert.True(Directory.Exists(run.RedisData));

        run.Dispose();

        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(_appHost, ".data")));
    }

    [Fact]
    public void TryOpen_DeletesDeadRunsAndLeavesLivingOnes()
    {
        var dead = Directory.CreateDirectory(Path.Combine(_appHost, ".data", "run-dead")).FullName;
        File.WriteAllText(dead + ".lock", "");
        Assert.Null(RunFolder.TryOpen(_appHost, s_settings, out var living));

        Assert.Null(RunFolder.TryOpen(_appHost, s_settings, out var next));

        Assert.False(Directory.Exists(dead));
        Assert.True(Directory.Exists(living.SharedData));
        next.Dispose();
        living.Dispose();
    }

    [Fact]
    public void TryOpen_Persist_KeepsRedisDataAndAllowsOneRunAtATime()
    {
        var persist = s_settings with { PersistRedis = true };
        Assert.Null(RunFolder.TryOpen(_appHost, persist, out var first));
        File.WriteAllText(Path.Combine(first.RedisData, "log"), "x");

        Assert.Contains("Redis:Persist", RunFolder.TryOpen(_appHost, persist, out _), StringComparison.Ordinal);
        first.Dispose();

        Assert.Null(RunFolder.TryOpen(_appHost, persist, out var second));
        Assert.True(File.Exists(Path.Combine(second.RedisData, "log")));
        second.Dispose();
    }
}
