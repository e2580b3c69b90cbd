using DistributedPatterns.Redis;
using DistributedPatterns.Tests.Support;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.MapReduce;

/// <summary>The script by itself: one attempt counts, one end, no older coordinator; also when a server is killed in the middle of one.</summary>
public sealed class MapReduceScriptTests(SharedRedis shared)
{
    private const string Script = "MapReduce/mapreduce.lua";
    private const int Map = 2;
    private const int Reduce = 3;

    [Theory]
    [InlineData(RedisKind.Garnet)]
    [InlineData(RedisKind.Redis)]
    public async Task Commits_OfManyAtOnce_OneCounts(RedisKind kind)
    {
        await using var redis = await (await shared.OfAsync(kind)).ConnectAsync();
        var job = new Job(redis.GetDatabase());
        await job.DoAsync("open", "request");
        await job.DoAsync("init", Map, 7, 20);

        var replies = await Task.WhenAll(from task in Enumerable.Range(0, 20) from attempt in Enumerable.Range(1, 10) select job.DoAsync("commit", Map, task, $"{attempt}", "1 2 3"));

        Assert.Equal(20, replies.Count(reply => (int)reply[0] == 1));
        Assert.Equal(180, replies.Count(reply => (int)reply[0] == 0));
        Assert.Equal((20, 20), await job.MapsAsync());
    }

    [Theory]
    [InlineData(RedisKind.Garnet)]
    [InlineData(RedisKind.Redis)]
    public async Task Operations_InTheirOrder_KeepTheirPromises(RedisKind kind)
    {
        await using var redis = await (await shared.OfAsync(kind)).ConnectAsync();
        var job = new Job(redis.GetDatabase());

        Assert.Empty(await job.DoAsync("status"));
        Assert.Equal(-1, await job.CodeAsync("commit", Map, 0, "1", "x")); // unknown
        Assert.Equal(-1, await job.CodeAsync("end", "", "cancelled"));
        Assert.Equal(1, await job.CodeAsync("open", "request"));
        Assert.Equal(1, await job.CodeAsync("open", "request"));
        Assert.Equal("request", (string)(await job.DoAsync("open", "another"))[1]!);

        Assert.Equal(1, await job.CodeAsync("init", Map, 5, 3));
        Assert.Equal(0, await job.CodeAsync("init", Map, 4, 3)); // an older coordinator
        Assert.Equal(-1, await job.CodeAsync("init", Map, 6, 4)); // another number of splits
        Assert.Equal(1, await job.CodeAsync("init", Map, 6, 3));

        Assert.Equal(1, await job.CodeAsync("commit", Map, 1, "11", "x"));
        Assert.Equal(1, await job.CodeAsync("commit", Map, 1, "11", "x")); // a retry
        Assert.Equal(0, await job.CodeAsync("commit", Map, 1, "12", "y"));
        Assert.Equal(0, await job.CodeAsync("revoke", Map, 1, "12"));
        Assert.Equal(1, await job.CodeAsync("revoke", Map, 1, "11"));
        Assert.Equal(1, await job.CodeAsync("commit", Map, 1, "12", "y"));
        Assert.Equal(1, await job.CodeAsync("commit", Reduce, 1, "13", "z"));
        Assert.Equal((1, 3), await job.MapsAsync());

        Assert.Equal(0, await job.CodeAsync("end", 5, "old")); // fenced
        Assert.Equal("new", (string)(await job.DoAsync("end", 6, "new"))[1]!);
        Assert.Equal("new", (string)(await job.DoAsync("end", "", "cancelled"))[1]!); // too late: the first end counts
        Assert.Equal(-1, await job.CodeAsync("commit", Map, 2, "14", "x"));
        Assert.Equal(0, await job.CodeAsync("revoke", Map, 1, "12"));
        Assert.Equal(0, await job.CodeAsync("init", Map, 9, 3));
        Assert.Equal("new", (string)(await job.DoAsync("status"))[1]!);
    }

    [Theory]
    [InlineData(RedisKind.Garnet)]
    [InlineData(RedisKind.Redis)]
    public async Task Operation_TornAnywhereAndSentAgain_IsAsIfItHadBeenSentOnce(RedisKind kind)
    {
        await using var redis = await (await shared.OfAsync(kind)).ConnectAsync();
        var torn = TornScript.Load(Script);
        RedisValue[][] calls = [["open", "request"], ["init", Map, 5, 2], ["init", Reduce, 5, 1], ["commit", Map, 0, "1", "x"], ["revoke", Map, 0, "1"], ["commit", Map, 0, "2", "x"], ["commit", Map, 1, "3", "x"], ["end", 5, "done"]];
        for (var tornCall = 0; tornCall < calls.Length; tornCall++)
        {
            var wasTorn = true;
            for (var writes = 0; wasTorn; writes++)
            {
                var job = new Job(redis.GetDatabase());
                for (var call = 0; call < calls.Length; call++)
                {
                    if (call == tornCall) wasTorn = await torn.RunAsync(redis.GetDatabase(), writes, job.Keys, Job.Arguments(calls[call]));
                    var again = (int)(await job.DoAsync(calls[call]))[0];
                    // What was torn after its only change answers a second revoke as one that came too late; nothing else differs.
                    if ((string)calls[call][0]! != "revoke") Assert.Equal(1, again);
                }
                var status = await job.DoAsync("status");
                Assert.Equal(("request", "done", 2, 2, 1, 0), ((string)status[0]!, (string)status[1]!, (int)status[2], (int)status[3], (int)status[4], (int)status[5]));
                Assert.True(await redis.GetDatabase().KeyTimeToLiveAsync(job.Keys[0]) > TimeSpan.Zero);
            }
        }
    }

    private sealed class Job(IDatabase database)
    {
        private const int KeepMs = 60_000;

        private static readonly RedisScript s_script = RedisScript.Load(Script);

        public RedisKey[] Keys { get; } = NewKeys($"{{{SharedRedis.NewTag()}}}");

        public static RedisValue[] Arguments(RedisValue[] call) => [call[0], KeepMs, .. call[1..]];

        public async Task<RedisResult[]> DoAsync(params RedisValue[] call) => (RedisResult[])(await s_script.EvaluateAsync(database, Keys, Arguments(call)))!;

        public async Task<int> CodeAsync(params RedisValue[] call) => (int)(await DoAsync(call))[0];

        public async Task<(int Done, int Total)> MapsAsync() => await DoAsync("status") is var status ? ((int)status[3], (int)status[2]) : default;

        private static RedisKey[] NewKeys(string tag) => [tag + ":job:1", tag + ":maps:1", tag + ":reduces:1"];
    }
}
