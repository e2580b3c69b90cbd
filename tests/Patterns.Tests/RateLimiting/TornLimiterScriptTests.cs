using DistributedPatterns.Redis;
using DistributedPatterns.Tests.Support;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.RateLimiting;

/// <summary>The limiters' scripts on a server that was killed in the middle of one: no permit is given twice, none is lost for ever.</summary>
public sealed class TornLimiterScriptTests(SharedRedis shared)
{
    private const string Concurrency = "RateLimiting/concurrency.lua";

    [Theory]
    [InlineData(RedisKind.Garnet)]
    [InlineData(RedisKind.Redis)]
    public async Task Concurrency_EveryOperationTornAnywhere_KeepsTheLimitAndFreesItself(RedisKind kind)
    {
        await using var redis = await (await shared.OfAsync(kind)).ConnectAsync();
        var (torn, whole, database) = (TornScript.Load(Concurrency), RedisScript.Load(Concurrency), redis.GetDatabase());
        foreach (var operation in (string[])["try", "acquire", "extend", "release", "cancel"])
        {
            var wasTorn = true;
            for (var writes = 0; wasTorn; writes++)
            {
                var tag = $"{{{SharedRedis.NewTag()}}}";
                RedisKey[] keys = [tag + ":info", tag + ":holders", tag + ":waiters", tag + ":seen"];
                wasTorn = false;

                // One holder of 2 of 3, and one that waits for 2; all leases and places short, for the torn one is never renewed.
                var token = await GrantAsync("a", 2, lease: 150);
                if (operation != "try") await Do("acquire", "b", 3, 150, 150, 2);
                RedisValue[] call = operation switch
                {
                    "try" => ["try", "c", 3, 150, 150, 1],
                    "acquire" => ["acquire", "b", 3, 150, 150, 2],
                    "extend" => ["extend", "a", 150, token],
                    "release" => ["release", "a", token],
                    _ => ["cancel", "b"],
                };
                if (operation is "acquire") await Do("release", "a", token); // so that b is granted
                wasTorn = await torn.RunAsync(database, writes, keys, call);

                // Whoever comes next: with the torn one's permits counted or not, never more than 3 are held.
                var next = await Do("try", "d", 3, 60_000, 150, 1);
                var held = (long)(await Do("stats", ""))[0];
                Assert.InRange(held, 0, 3);
                Assert.True((long)next[0] == 0 || held >= 1, $"{operation} torn after {writes} writes: granted and not counted");

                // The same call again is answered as if nothing had happened.
                var again = await Do(call);
                if (operation is "release") Assert.InRange((long)again[0], 0, 1);
                Assert.InRange((long)(await Do("stats", ""))[0], 0, 3);

                if ((long)next[0] == 1) await Do("release", "d", (string)next[1]!);

                // All leases and places run out, and everything is free again.
                RedisResult[] all = [];
                await Eventually.TrueAsync(async () => (long)(all = await Do("try", "all", 3, 60_000, 1_000, 3))[0] == 1,
                    TimeSpan.FromSeconds(10), () => $"{operation} torn after {writes} writes: never free again");
                Assert.Equal(3, (long)(await Do("stats", ""))[0]);
                Assert.Equal(1, (long)(await Do("release", "all", (string)all[1]!))[0]);
                Assert.Equal((0, 0), ((long)(await Do("stats", ""))[0], (long)(await Do("stats", ""))[1]));

                async Task<string> GrantAsync(string member, int weight, int lease) => (string)(await Do("try", member, 3, lease, 1_000, weight))[1]!;

                async Task<RedisResult[]> Do(params RedisValue[] arguments) => (RedisResult[])(await whole.EvaluateAsync(database, keys, arguments))!;
            }
        }
    }

    [Theory]
    [InlineData(RedisKind.Garnet)]
    [InlineData(RedisKind.Redis)]
    public async Task WindowLog_TornAnywhereAndSentAgain_CountsTheWholeRequest(RedisKind kind)
    {
        await using var redis = await (await shared.OfAsync(kind)).ConnectAsync();
        var (torn, whole) = (TornScript.Load("RateLimiting/window_log.lua"), RedisScript.Load("RateLimiting/window_log.lua"));
        var wasTorn = true;
        for (var writes = 0; wasTorn; writes++)
        {
            RedisKey[] keys = [$"{{{SharedRedis.NewTag()}}}:log"];
            RedisValue[] call = [5_000, 600_000, 1_200, "same"];
            wasTorn = await torn.RunAsync(redis.GetDatabase(), writes, keys, call);

            var again = (RedisResult[])(await whole.EvaluateAsync(redis.GetDatabase(), keys, call))!;

            Assert.Equal(1, (long)again[0]);
            Assert.Equal(1_200, await redis.GetDatabase().SortedSetLengthAsync(keys[0]));
        }
    }

    [Theory]
    [InlineData(RedisKind.Garnet)]
    [InlineData(RedisKind.Redis)]
    public async Task Gcra_TornBetweenTwoLimits_ErrsTowardsDenying(RedisKind kind)
    {
        await using var redis = await (await shared.OfAsync(kind)).ConnectAsync();
        var (torn, whole) = (TornScript.Load("RateLimiting/gcra.lua"), RedisScript.Load("RateLimiting/gcra.lua"));
        for (var writes = 0; writes < 2; writes++)
        {
            var tag = $"{{{SharedRedis.NewTag()}}}";
            RedisKey[] keys = [tag + ":gcra:0", tag + ":gcra:1"];
            Assert.True(await torn.RunAsync(redis.GetDatabase(), writes, keys, "take", 0, 1, 3_600_000_000, 4, 1, 1, 3_600_000_000, 4, 1));

            var admitted = 0;
            while ((long)((RedisResult[])(await whole.EvaluateAsync(redis.GetDatabase(), keys, "take", 0, 1, 3_600_000_000, 4, 1, 1, 3_600_000_000, 4, 1))!)[0] == 1) admitted++;

            Assert.Equal(4 - writes, admitted); // the torn request was answered by nobody
        }
    }
}
