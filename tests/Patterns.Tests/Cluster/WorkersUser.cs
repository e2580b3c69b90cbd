using DistributedPatterns.Tests.WorkerPool;
using DistributedPatterns.WorkerPool;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.Cluster;

/// <summary>A worker pool: every job has its result after the failover, and the workers are on the list again.</summary>
internal sealed class WorkersUser : ScriptUser
{
    private const int Jobs = 100;

    public override IReadOnlyList<string> Scripts => ["WorkerPool/workers.lua"];

    public override async Task RunAsync(RedisCluster cluster, IConnectionMultiplexer redis, string tag, Func<Task> failOver)
    {
        var stop = TestContext.Current.CancellationToken;
        var square = TestJobs.Square();
        await using var processes = await RedisPoolCluster.StartAsync(cluster, workers: 2, options => options.KeyTag = tag, square);
        for (var i = 0; i < Jobs / 2; i++) await SubmitAsync(i);

        await failOver();

        // The last writes may be lost with the old master; submitting under the same id again closes that gap and adds nothing else.
        for (var i = 0; i < Jobs; i++) await SubmitAsync(i);
        for (var i = 0; i < Jobs; i++)
        {
            var (id, n) = ($"{tag}-{i}", i);
            var status = await InsistAsync(() => processes.Pool.WaitAsync(id, stop));
            Assert.Equal((JobState.Done, (long)n * n), (status.State, status.Result!.Value.GetInt64()));
        }
        await InsistAsync(async () => (await processes.Pool.GetSnapshotAsync(stop)).Workers.Count == 2 ? 2 : throw new TimeoutException("not all workers are listed"));

        Task SubmitAsync(int i) => InsistAsync(() =>
            processes.Pool.SubmitAsync(new JobRequest("square", TestJobs.Json($"{i}")) { Id = $"{tag}-{i}" }, stop).AsTask());
    }
}
