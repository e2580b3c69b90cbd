using DistributedPatterns.Tests.Support;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.Pipeline;

/// <summary><c>runs.lua</c> on a server that was killed in the middle of it: the same call again completes it, whatever part was left.</summary>
public sealed class RunsTornTests(SharedRedis shared)
{
    private const string Script = "Pipeline/runs.lua";

    [Theory]
    [InlineData(RedisKind.Garnet)]
    [InlineData(RedisKind.Redis)]
    public async Task EveryOperation_TornAnywhereAndSentAgain_EndsTheRunOnce(RedisKind kind)
    {
        await using var redis = await (await shared.OfAsync(kind)).ConnectAsync();
        var (torn, whole, database) = (TornScript.Load(Script), DistributedPatterns.Redis.RedisScript.Load(Script), redis.GetDatabase());
        foreach (var operation in (string[])["create", "claim", "renew", "replay", "release", "finish", "stop"])
        {
            var wasTorn = true;
            for (var writes = 0; wasTorn; writes++)
            {
                var tag = $"{{{SharedRedis.NewTag()}}}";
                RedisKey[] keys = [tag + ":request", tag + ":lease", tag + ":state", tag + ":status", tag + ":ended"];
                wasTorn = false;
                var epoch = "0";

                Assert.InRange((int)(await RunAsync("create", "run", "request", 10, 60_000))[0], 1, 2);
                if (operation != "stop") epoch = await ClaimAsync();
                if (operation is "renew") Assert.Equal(1, (int)(await RunAsync("renew", "run", epoch, 60_000, "status"))[0]);
                if (operation is "replay") epoch = (await RunAsync("replay", "run", epoch)) is [var ok, var next] && (int)ok == 1 ? (string)next! : await ClaimAsync();
                if (operation is "release")
                {
                    Assert.Equal(1, (int)(await RunAsync("release", "run", epoch))[0]);
                    epoch = await ClaimAsync();
                }
                if (operation is "stop") await RunAsync("stop", "run", 2, "ended");
                else Assert.Equal(1, (int)(await RunAsync("finish", "run", epoch, "ended"))[0]);

                var run = await WholeAsync("get", "run");
                Assert.Equal(("request", "ended", 0), ((string?)run[0], (string?)run[1], (int)run[2]));
                Assert.Empty(await WholeAsync("claim", "", 60_000, 60_000));
                Assert.Equal(1, await database.SortedSetLengthAsync(keys[4]));

                async Task<string> ClaimAsync()
                {
                    // A claim whose reply is lost is a lease that runs out; so is one whose driver does not know its new epoch.
                    var lease = operation is "claim" or "replay" ? 1 : 60_000;
                    RedisResult[] claimed = [];
                    if (await TearAsync("claim", ["", lease, 60_000])) lease = 60_000;
                    await Eventually.TrueAsync(async () => (claimed = await WholeAsync("claim", "", lease, 60_000)).Length > 0, TimeSpan.FromSeconds(5), () => "nothing to claim");
                    return (string)claimed[1]!;
                }

                async Task<RedisResult[]> RunAsync(string name, params RedisValue[] arguments)
                {
                    await TearAsync(name, arguments);
                    return await WholeAsync(name, arguments);
                }

                async Task<bool> TearAsync(string name, RedisValue[] arguments)
                {
                    var happened = name == operation && await torn.RunAsync(database, writes, keys, [name, .. arguments]);
                    wasTorn |= happened;
                    return happened;
                }

                async Task<RedisResult[]> WholeAsync(string name, params RedisValue[] arguments) =>
                    (RedisResult[])(await whole.EvaluateAsync(database, keys, [name, .. arguments]))!;
            }
        }
    }
}
