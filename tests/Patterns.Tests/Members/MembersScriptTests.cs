using DistributedPatterns.Redis;
using DistributedPatterns.Tests.Support;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.Members;

/// <summary>members.lua itself: who has a name, and what many at once cannot break.</summary>
public sealed class MembersScriptTests(SharedRedis shared)
{
    private static readonly RedisScript s_script = RedisScript.Load("Members/members.lua");

    [Theory]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Join_SameNameAgain_SupersedesTheEarlierStart(RedisKind kind)
    {
        await using var group = await Group.OpenAsync(await shared.OfAsync(kind));
        var (_, first) = await group.CallAsync("join", "w", 60_000, "worker - -", "");
        var (_, second) = await group.CallAsync("join", "w", 60_000, "worker - -", "");

        Assert.True(second > first);
        Assert.Equal((0, second), await group.CallAsync("beat", "w", 60_000, first));
        Assert.Equal((0, second), await group.CallAsync("join", "w", 60_000, "worker - -", first));
        Assert.Equal((0, second), await group.CallAsync("leave", "w", 0, first));
        Assert.Equal((1, second), await group.CallAsync("beat", "w", 60_000, second));
    }

    [Theory]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Join_AfterTheLeaseRanOut_KeepsItsStart(RedisKind kind)
    {
        await using var group = await Group.OpenAsync(await shared.OfAsync(kind));
        var (_, start) = await group.CallAsync("join", "w", 1, "worker - -", "");
        await Eventually.TrueAsync(async () => await group.CallAsync("beat", "w", 1, start) == (0, 0), TimeSpan.FromSeconds(5), () => "still alive");

        Assert.Equal((1, start), await group.CallAsync("join", "w", 60_000, "worker - -", start));
        Assert.Equal((1, start), await group.CallAsync("beat", "w", 60_000, start));
        var (_, other) = await group.CallAsync("join", "x", 60_000, "worker - -", "");
        Assert.True(other > start);
    }

    [Theory]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Join_ManyAtOnce_StartsAreUniqueAndOneHoldsEachName(RedisKind kind)
    {
        const int Names = 8;
        const int JoinsEach = 40;
        await using var group = await Group.OpenAsync(await shared.OfAsync(kind));
        var joins = await Task.WhenAll(Enumerable.Range(0, Names * JoinsEach).Select(async i =>
            (Name: $"w{i % Names}", (await group.CallAsync("join", $"w{i % Names}", 60000, "worker - -", "")).Start)));

        Assert.Equal(joins.Length, joins.Select(join => join.Start).Distinct().Count());
        foreach (var name in joins.GroupBy(join => join.Name))
        {
            var alive = await Task.WhenAll(name.Select(async join => (join.Start, (await group.CallAsync("beat", name.Key, 60000, join.Start)).Ok)));
            Assert.Equal([name.Max(join => join.Start)], alive.Where(beat => beat.Ok == 1).Select(beat => beat.Start));
        }
    }

    /// <summary>A group of members with connections that really run side by side.</summary>
    private sealed class Group(IReadOnlyList<ConnectionMultiplexer> connections) : IAsyncDisposable
    {
        private readonly RedisKey[] _keys = KeysOf(SharedRedis.NewTag());
        private int _next;

        public static async Task<Group> OpenAsync(RedisBackend server) =>
            new(await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => server.ConnectAsync())));

        public async Task<(int Ok, long Start)> CallAsync(params RedisValue[] arguments)
        {
            var connection = connections[Interlocked.Increment(ref _next) % connections.Count];
            var result = (RedisResult[])(await s_script.EvaluateAsync(connection.GetDatabase(), _keys, arguments))!;
            return ((int)result[0], (long)result[1]);
        }

        public async ValueTask DisposeAsync()
        {
            foreach (var connection in connections)
                await connection.DisposeAsync();
        }

        private static RedisKey[] KeysOf(string tag) => [$"{{{tag}}}:beats", $"{{{tag}}}:info"];
    }
}
