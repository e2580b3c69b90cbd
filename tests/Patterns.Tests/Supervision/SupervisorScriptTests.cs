using System.Collections.Concurrent;
using DistributedPatterns.Redis;
using DistributedPatterns.Tests.Support;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.Supervision;

/// <summary>supervisor.lua itself: what many processes at once cannot break, and what a server that is killed in the midst of it leaves behind.</summary>
public sealed class SupervisorScriptTests(SharedRedis shared)
{
    private const int HangLimit = 60_000;
    private const int Children = 8;

    private static readonly RedisScript s_script = RedisScript.Load("Supervision/supervisor.lua");

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Beat_OfManyProcessesAtOnce_GivesEachEpochToOneOfThemAndCountsEveryFailureOnce(RedisKind kind)
    {
        const int Processes = 8;
        const int Failures = 30;
        await using var tree = await Tree.OpenAsync(await shared.OfAsync(kind));
        var given = new ConcurrentDictionary<(string Child, long Epoch), string>();
        var failures = 0;

        await Task.WhenAll(Enumerable.Range(0, Processes).Select(async i =>
        {
            var (me, report, up) = ($"p{i}", Array.Empty<RedisValue>(), new HashSet<(string, long)>());
            while (Volatile.Read(ref failures) < Processes * Failures)
            {
                await tree.BeatAsync(me, report);
                var reply = await tree.BeatAsync(me, report); // sent again, as after a time-out: it counts once
                report = [];
                for (var at = 4; at < reply.Length; at += 4)
                {
                    var key = ((string)reply[at]!, (long)reply[at + 1]);
                    Assert.Equal(me, given.GetOrAdd(key, me));
                    if (up.Add(key)) report = [.. report, key.Item1, key.Item2, "up", ""];
                    else
                    {
                        report = [.. report, key.Item1, key.Item2, "crashed", "crashed: x"];
                        Interlocked.Increment(ref failures);
                    }
                }
            }
        }));

        var stats = await tree.ReadAsync();
        Assert.True(stats.Crashed >= Processes * (Failures - 2), $"{stats}"); // what was to be reported last was not
        Assert.True(stats.Started >= given.Count, $"{stats}");
        Assert.Equal(stats.Started, stats.Crashed + stats.Running);
        Assert.Equal(stats.Crashed, stats.Restarts);
        foreach (var child in given.Keys.GroupBy(key => key.Child)) Assert.Equal(child.Count(), child.Select(key => key.Epoch).Distinct().Count());
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task AnyCall_TornBeforeAnyOfItsWrites_IsCompletedByTheSameCall(RedisKind kind)
    {
        var torn = TornScript.Load("Supervision/supervisor.lua");
        await using var tree = await Tree.OpenAsync(await shared.OfAsync(kind));
        var tears = 0;
        for (var write = 0; write < 3; write++)
        {
            var (name, epoch) = await tree.TakeAsync("p");
            foreach (var (op, arguments) in Calls(name, epoch))
            {
                tears += await torn.RunAsync(tree.Database, write, tree.Keys, op == "write" ? [op, .. arguments] : Tree.Arguments(op, "p", arguments)) ? 1 : 0;
                await s_script.EvaluateAsync(tree.Database, tree.Keys, op == "write" ? [op, .. arguments] : Tree.Arguments(op, "p", arguments));
                var stats = await tree.ReadAsync();
                Assert.Equal(stats.Started, stats.Crashed + stats.Stopped + stats.Running);
            }
        }
        Assert.True(tears >= 6, $"{tears} calls were torn");

        static IEnumerable<(string Op, RedisValue[] Arguments)> Calls(string name, long epoch) =>
        [
            ("write", [name, epoch, "value"]), ("signal", [name, "Crash", Guid.NewGuid().ToString("N")]), ("strategy", ["all"]), ("strategy", ["one"]),
            ("beat", [name, epoch, "crashed", "crashed: x"]), ("reset", []), ("beat", []), ("leave", []),
        ];
    }

    private sealed record Stats(long Restarts, long Started, long Crashed, long Stopped, long Running);

    /// <summary>A tree of children, and connections that really run side by side.</summary>
    private sealed class Tree(IReadOnlyList<ConnectionMultiplexer> connections) : IAsyncDisposable
    {
        private readonly string _tag = SharedRedis.NewTag();
        private int _next;

        public RedisKey[] Keys => [$"{{{_tag}}}:tree", $"{{{_tag}}}:values"];

        public IDatabase Database => connections[Interlocked.Increment(ref _next) % connections.Count].GetDatabase();

        public static async Task<Tree> OpenAsync(RedisBackend server) => new(await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => server.ConnectAsync())));

        public static RedisValue[] Arguments(string op, string me, params IEnumerable<RedisValue> more) =>
        [
            op, me, 60_000, 100_000, 600_000, 0, 0, 60_000, 0, "one", Children,
            .. Enumerable.Range(0, Children).SelectMany(i => (RedisValue[])[$"c{i}", "P"]), .. more,
        ];

        public async Task<RedisResult[]> BeatAsync(string me, params RedisValue[] report) =>
            (RedisResult[])(await s_script.EvaluateAsync(Database, Keys, Arguments("beat", me, report)))!;

        /// <summary>Takes children, says that they are up, and returns the first.</summary>
        public async Task<(string Name, long Epoch)> TakeAsync(string me)
        {
            for (RedisValue[] report = []; ;)
            {
                var reply = await BeatAsync(me, report);
                report = [.. Enumerable.Range(1, (reply.Length - 4) / 4).SelectMany(i => (RedisValue[])[(string)reply[i * 4]!, (long)reply[i * 4 + 1], "up", ""])];
                if (reply.Length == 4 + (Children * 4)) return ((string)reply[4]!, (long)reply[5]);
            }
        }

        public async Task<Stats> ReadAsync()
        {
            var reply = (RedisResult[])(await s_script.EvaluateAsync(Database, Keys, Arguments("tree", "")))!;
            return new Stats((long)reply[5], (long)reply[6], (long)reply[8], (long)reply[10], (long)reply[12]);
        }

        public async ValueTask DisposeAsync()
        {
            foreach (var connection in connections) await connection.DisposeAsync();
        }
    }
}
