using DistributedPatterns.Pipeline;
using DistributedPatterns.Tests.Pipeline;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.Cluster;

/// <summary>A pipeline's run goes on through a failover and gives the same result; the next one starts after it.</summary>
internal sealed class RunsUser : ScriptUser
{
    private const int Count = 100_000;

    public override IReadOnlyList<string> Scripts => ["Pipeline/runs.lua"];

    public override async Task RunAsync(RedisCluster cluster, IConnectionMultiplexer redis, string tag, Func<Task> failOver)
    {
        var gate = new Gate();
        var numbers = new NumbersPipeline
        {
            AddOne = async (x, token) =>
            {
                if (x == 3 * (Count / 2)) await gate.PassAsync(token);
                return x + 1;
            },
        }.Define();
        await using var processes = await GrpcPipelineCluster.StartAsync(cluster, [numbers], options => options.KeyTag = tag, producers: 2);
        var run = await InsistAsync(() => processes.Pipeline.StartAsync(new PipelineRequest("numbers", $"{Count}"), TestContext.Current.CancellationToken));
        await gate.Reached;

        await failOver();
        gate.Open();

        var status = await InsistAsync(() => run.WaitAsync(TestContext.Current.CancellationToken));
        Assert.Equal(PipelineState.Completed, status.State);
        Assert.Equal(new PipelineLedger { Read = Count, Done = Count }, status.Ledger);
        var next = await InsistAsync(() => processes.Pipeline.StartAsync(new PipelineRequest("numbers", "1000"), TestContext.Current.CancellationToken));
        Assert.Equal(NumbersPipeline.Expected(1000), await numbers.ResultOfAsync(next, TestContext.Current.CancellationToken));
    }
}
