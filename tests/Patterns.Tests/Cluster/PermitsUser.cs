using DistributedPatterns.ResourcePooling;
using DistributedPatterns.Tests.ResourcePooling;
using Microsoft.Extensions.Logging.Abstractions;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.Cluster;

/// <summary>Pooled resources: after the failover they are lent again, under tokens that were not given before, and never more than there may be.</summary>
internal sealed class PermitsUser : ScriptUser
{
    private const int Permits = 2;

    public override IReadOnlyList<string> Scripts => ["ResourcePooling/permits.lua"];

    public override async Task RunAsync(RedisCluster cluster, IConnectionMultiplexer redis, string tag, Func<Task> failOver)
    {
        var (stop, resources) = (TestContext.Current.CancellationToken, new TestResources());
        var options = new RedisPermitPoolOptions { Permits = Permits, KeyTag = tag, Lease = TimeSpan.FromSeconds(3) };
        await using var pool = new RedisPermitPool<TestResource>(redis, "cluster", resources, options, TimeProvider.System, NullLogger<RedisPermitPool<TestResource>>.Instance);
        await (await pool.AcquireAsync(Limit, stop)).DisposeAsync();

        await failOver();

        for (var i = 0; i < 20; i++)
        {
            await InsistAsync(async () =>
            {
                try
                {
                    await using var loan = await pool.AcquireAsync(TimeSpan.FromSeconds(10), stop);
                    loan.MarkBroken();
                    return true;
                }
                catch (PoolExhaustedException e)
                {
                    throw new TimeoutException(e.Message, e);
                }
            });
        }
        Assert.InRange(resources.MostOpen, 1, Permits);
        Assert.All(resources.Permits.GroupBy(permit => permit.Number), permits => Assert.Equal(permits.Select(permit => permit.Token).Distinct().Order(), permits.Select(permit => permit.Token)));
    }
}
