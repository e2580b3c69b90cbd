using DistributedPatterns.Redis;

namespace DistributedPatterns.Tests.Cluster;

/// <summary>Every script on a Redis Cluster, by its pattern's own client, before, during and after a failover.</summary>
public sealed class ClusterTests(RedisCluster cluster) : IClassFixture<RedisCluster>
{
    private const int HangLimit = 90_000;

    public static TheoryData<string> Scripts => [.. EmbeddedScripts()];

    [Fact]
    public void Scripts_AllOfTheLibrary_AreTestedHere() => Assert.Equal(EmbeddedScripts(), ScriptUser.All.SelectMany(user => user.Scripts).Order(StringComparer.Ordinal));

    [Theory(Timeout = HangLimit)]
    [MemberData(nameof(Scripts))]
    public async Task Script_TheReplicaTakesOver_ItsClientGoesOn(string script)
    {
        var user = ScriptUser.All.Single(user => user.Scripts.Contains(script));
        await using var redis = await (await cluster.StartedAsync()).ConnectAsync();

        await user.RunAsync(cluster, redis, RedisCluster.NewTag(redis), cluster.FailOverAsync);

        // On the node that was the replica: the client has followed, and the script touched no key elsewhere (CROSSSLOT).
        if (user is not ProbeUser) Assert.True(await cluster.HasRunAsync(TextOf(script)), $"nobody ran {script} after the failover");
    }

    [Fact(Timeout = HangLimit)]
    public async Task AllScripts_TheMasterIsKilled_TheirClientsGoOn()
    {
        await using var redis = await (await cluster.StartedAsync()).ConnectAsync();
        var users = ScriptUser.All;
        var (waiting, killed) = (0, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));

        try
        {
            await Task.WhenAll(users.Select(async user =>
            {
                try
                {
                    await user.RunAsync(cluster, redis, RedisCluster.NewTag(redis), KillOnceAsync);
                }
                catch (Exception e)
                {
                    killed.TrySetException(e); // or the others would wait for this one
                    throw;
                }
            }));
        }
        finally
        {
            if (killed.Task.IsCompletedSuccessfully) await cluster.RestartKilledAsync(); // the other tests need it too
        }

        // The last of them to be in the midst of its work does it for all.
        async Task KillOnceAsync()
        {
            if (Interlocked.Increment(ref waiting) == users.Count)
            {
                await cluster.KillMasterAsync();
                killed.TrySetResult();
            }
            await killed.Task;
        }
    }

    private static IEnumerable<string> EmbeddedScripts() => typeof(RedisScript).Assembly.GetManifestResourceNames()
        .Where(name => name.EndsWith(".lua", StringComparison.Ordinal))
        .Order(StringComparer.Ordinal);

    private static string TextOf(string script)
    {
        using var reader = new StreamReader(typeof(RedisScript).Assembly.GetManifestResourceStream(script)!);
        return reader.ReadToEnd();
    }
}
