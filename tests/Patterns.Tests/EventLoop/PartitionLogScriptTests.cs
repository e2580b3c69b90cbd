using System.Globalization;
using DistributedPatterns.Redis;
using DistributedPatterns.Tests.Support;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.EventLoop;

/// <summary>The scripts themselves: what many callers at once cannot break, and what a server that is killed in the midst of one leaves behind.</summary>
public sealed class PartitionLogScriptTests(SharedRedis shared)
{
    private const int HangLimit = 60_000;

    private static readonly RedisScript s_log = RedisScript.Load("EventLoop/partition_log.lua");
    private static readonly RedisScript s_partitions = RedisScript.Load("EventLoop/partitions.lua");

    private readonly string _tag = SharedRedis.NewTag();

    private RedisKey[] LogKeys => [$"{{{_tag}}}:log", $"{{{_tag}}}:data", $"{{{_tag}}}:ids"];

    private RedisKey[] OwnerKeys => [$"{{{_tag}}}:owner", $"{{{_tag}}}:epoch", $"{{{_tag}}}:lease", $"{{{_tag}}}:members"];

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task AnyCall_TornBeforeAnyOfItsWrites_IsCompletedByTheSameCall(RedisKind kind)
    {
        var torn = TornScript.Load("EventLoop/partition_log.lua");
        await using var redis = await (await shared.OfAsync(kind)).ConnectAsync();
        var database = redis.GetDatabase();
        var (tears, sum, cursor, last) = (0, 0, "0", "0");
        for (var write = 0; write < 5; write++)
        {
            RedisValue[] append = ["append", 1_000, 1_000, 100, $"post-{write}", "k", "", 2, "add k - - 1", "add k - - 2"];
            tears += await torn.RunAsync(database, write, LogKeys, append) ? 1 : 0;
            var reply = await CallAsync(database, append);
            Assert.Contains((int)reply[1][0], (int[])[1, 2]);
            sum += 2;
            Assert.Equal((sum, sum - 2, 2), await StatsAsync(database)); // taken on once

            var events = await CallAsync(database, "read", 7, cursor, 10);
            Assert.Equal(2, events.Length - 2);
            var to = ((string)events[^1]!).Split(' ')[0];
            RedisValue[] commit = ["commit", 7, cursor, to, 2, 0, 0, 0, "", "", $"commit-{write}", last, "s:k", $"{sum} {to} {{}}", "t:k x", write % 2 == 0 ? "1000 add 1" : ""];
            tears += await torn.RunAsync(database, write, LogKeys, commit) ? 1 : 0;
            Assert.Equal(1, (int)(await CallAsync(database, commit))[0]);
            Assert.Equal(1, (int)(await CallAsync(database, commit))[0]);
            (cursor, last) = (to, $"commit-{write}");
            Assert.Equal((sum, sum, 0), await StatsAsync(database));
            Assert.Equal($"{sum} {to} {{}}", (string?)await database.HashGetAsync(LogKeys[1], "s:k"));
        }
        Assert.True(tears >= 5, $"{tears} calls were torn");
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Commit_OfTimersOnlyAndRepeated_CountsOnceAndNeverComesBackOverALaterOne(RedisKind kind)
    {
        await using var redis = await (await shared.OfAsync(kind)).ConnectAsync();
        var database = redis.GetDatabase();
        RedisValue[] first = ["commit", 7, 0, 0, 0, 0, 1, 0, "", "", "first", "0", "s:k", "1 0 {}"];
        RedisValue[] second = ["commit", 7, 0, 0, 0, 0, 1, 0, "", "", "second", "first", "s:k", "2 0 {}"];

        int[] codes = [await CodeAsync(first), await CodeAsync(first), await CodeAsync(second), await CodeAsync(first)];

        Assert.Equal([1, 1, 1, -1], codes);
        Assert.Equal(2, (int)(await CallAsync(database, "stats"))[8]);
        Assert.Equal("2 0 {}", (string?)await database.HashGetAsync(LogKeys[1], "s:k"));

        async Task<int> CodeAsync(RedisValue[] commit) => (int)(await CallAsync(database, commit))[0];
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Append_TornAndFollowedByAnother_IsTakenOnWhenItComesAgain(RedisKind kind)
    {
        var torn = TornScript.Load("EventLoop/partition_log.lua");
        await using var redis = await (await shared.OfAsync(kind)).ConnectAsync();
        var database = redis.GetDatabase();
        RedisValue[] lost = ["append", 1_000, 1_000, 100, "lost", "k", "", 1, "add k - - 1"];
        Assert.True(await torn.RunAsync(database, 1, LogKeys, lost)); // the post is recorded, its event is not there

        await CallAsync(database, "append", 1_000, 1_000, 100, "other", "k", "", 1, "add k - - 2");
        Assert.Equal((1, 0, 1), await StatsAsync(database));
        var again = await CallAsync(database, lost);

        Assert.Equal(1, (int)again[1][0]);
        Assert.Equal((2, 0, 2), await StatsAsync(database));
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Appends_AtTheSameTime_KeepTheBoundAndEveryPostOnce(RedisKind kind)
    {
        const int Capacity = 50;
        var server = await shared.OfAsync(kind);
        var connections = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => server.ConnectAsync()));

        var replies = await Task.WhenAll(Enumerable.Range(0, 200).Select(async i =>
        {
            var reply = await CallAsync(connections[i % 4].GetDatabase(), "append", Capacity, 1_000, 1_000, $"post-{i % 100}", "k", "", 1, "add k - - 1");
            return ((int)reply[1][0], (string)reply[1][1]!);
        }));

        Assert.Equal(Capacity, replies.Count(reply => reply.Item1 == 1));
        Assert.Equal(Capacity, replies.Where(reply => reply.Item1 is 1 or 2).Select(reply => reply.Item2).Distinct().Count());
        Assert.Equal((Capacity, 0, Capacity), await StatsAsync(connections[0].GetDatabase()));
        foreach (var connection in connections) await connection.DisposeAsync();
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Beats_OfManyProcessesAtOnce_GiveEachEpochToOneAndEachItsShare(RedisKind kind)
    {
        const int Partitions = 10;
        var server = await shared.OfAsync(kind);
        var connections = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => server.ConnectAsync()));
        var owners = new System.Collections.Concurrent.ConcurrentDictionary<(string, string), string>();

        using var enough = new CancellationTokenSource();
        var beating = Task.WhenAll(Enumerable.Range(0, 4).Select(async i =>
        {
            var database = connections[i].GetDatabase();
            for (var beat = 0; beat < 60 || !enough.IsCancellationRequested; beat++)
            {
                var reply = (RedisResult[])(await s_partitions.EvaluateAsync(database, OwnerKeys, "beat", $"p{i}", Partitions, 60_000))!;
                foreach (var pair in ((string[])reply[0]!).Chunk(2)) Assert.Equal($"p{i}", owners.GetOrAdd((pair[0], pair[1]), $"p{i}"));
                foreach (var pair in ((string[])reply[1]!).Chunk(2)) await s_partitions.EvaluateAsync(database, OwnerKeys, "drop", $"p{i}", Partitions, 60_000, pair[0], pair[1]);
            }
        }));

        await Eventually.TrueAsync(
            async () =>
            {
                var list = (RedisResult[])(await s_partitions.EvaluateAsync(connections[0].GetDatabase(), OwnerKeys, "list", "", Partitions, 60_000))!;
                return list.GroupBy(one => (string)one[1]!).Select(group => group.Count()).Order().SequenceEqual([2, 2, 3, 3]);
            }, TimeSpan.FromSeconds(30), () => "not each has its share");
        await enough.CancelAsync();
        await beating;
        Assert.Equal(-1, (int)((RedisResult[])(await s_partitions.EvaluateAsync(connections[0].GetDatabase(), OwnerKeys, "list", "", Partitions + 1, 60_000))!)[0]);
        foreach (var connection in connections) await connection.DisposeAsync();
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Beat_TornBeforeAnyOfItsWrites_LeavesNoPartitionWithoutAnOwner(RedisKind kind)
    {
        var torn = TornScript.Load("EventLoop/partitions.lua");
        await using var redis = await (await shared.OfAsync(kind)).ConnectAsync();
        var database = redis.GetDatabase();
        for (var write = 0; write < 8; write++)
        {
            RedisKey[] keys = [.. OwnerKeys.Select(key => key.ToString().Replace(_tag, _tag + write.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal)).Select(key => (RedisKey)key)];
            Assert.True(await torn.RunAsync(database, write, keys, "beat", "dead", 2, 50));
            string[] owned = [];
            await Eventually.TrueAsync(
                async () => (owned = (string[])((RedisResult[])(await s_partitions.EvaluateAsync(database, keys, "beat", "live", 2, 60_000))!)[0]!).Length == 4,
                TimeSpan.FromSeconds(20), () => string.Join(' ', owned));
        }
    }

    private async Task<RedisResult[]> CallAsync(IDatabase database, params RedisValue[] arguments) => (RedisResult[])(await s_log.EvaluateAsync(database, LogKeys, arguments))!;

    private async Task<(int In, int Done, int Waiting)> StatsAsync(IDatabase database)
    {
        var stats = await CallAsync(database, "stats");
        return ((int)stats[2], (int)stats[3], (int)stats[13]);
    }
}
