using DistributedPatterns.Redis;
using DistributedPatterns.Tests.Support;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.ResourcePooling;

/// <summary>permits.lua itself: what many processes at once cannot break, and what a server that is killed in the midst of it leaves behind.</summary>
public sealed class PermitsScriptTests(SharedRedis shared)
{
    private const int HangLimit = 60_000;
    private const string Path = "ResourcePooling/permits.lua";

    private static readonly RedisScript s_script = RedisScript.Load(Path);

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Calls_OfManyProcessesAtOnce_GiveEachPermitToOneAndEachTokenOnce(RedisKind kind)
    {
        const int Processes = 6;
        const int Rounds = 60;
        const int Limit = 3;
        await using var redis = await (await shared.OfAsync(kind)).ConnectAsync();
        await using var other = await (await shared.OfAsync(kind)).ConnectAsync();
        var keys = Keys();
        var holders = new int[Limit];
        var tokens = new System.Collections.Concurrent.ConcurrentDictionary<(long, long), int>();

        await Task.WhenAll(Enumerable.Range(0, Processes).Select(async process =>
        {
            var (me, database) = ($"p{process}", (process % 2 == 0 ? redis : other).GetDatabase());
            await CallAsync(database, keys, "join", me, Limit);
            for (var round = 1; round <= Rounds; round++)
            {
                var mine = Mine(await CallAsync(database, keys, "beat", me, Limit, round));
                while (mine.Length == 0) mine = Mine(await CallAsync(database, keys, "beat", me, Limit, round));
                var (number, ticket, token) = Assert.Single(mine);
                Assert.Equal(round, ticket);
                Assert.True(tokens.TryAdd((number, token), process), $"{number} {token} twice");
                Assert.Equal(1, Interlocked.Increment(ref holders[number]));
                await Task.Yield();
                Interlocked.Decrement(ref holders[number]);
                await CallAsync(database, keys, "release", me, Limit, number, token);
                // Sent again, as after a time-out: it frees nothing that has another holder by now.
                await CallAsync(database, keys, "release", me, Limit, number, token);
            }
        }));

        var stats = await CallAsync(redis.GetDatabase(), keys, "stats", "", Limit);
        Assert.Equal((0, 0, Processes * Rounds, Processes * Rounds, 0), ((long)stats[1], (long)stats[3], (long)stats[6], (long)stats[7], (long)stats[8]));
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Instance_WhoseLeaseIsOver_HasNothingLeftAndIsToldSo(RedisKind kind)
    {
        await using var redis = await (await shared.OfAsync(kind)).ConnectAsync();
        var (keys, database) = (Keys(), redis.GetDatabase());
        await CallAsync(database, keys, "join", "ghost", 1);
        var (number, _, token) = Assert.Single(Mine(await CallAsync(database, keys, "beat", "ghost", 1, 1)));
        await CallAsync(database, keys, "join", "next", 1);
        await CallForAsync(200, database, keys, "beat", "ghost", 1);

        (long Number, long Ticket, long Token)[] taken = [];
        await Eventually.TrueAsync(async () => (taken = Mine(await CallAsync(database, keys, "beat", "next", 1, 1))).Length == 1, TimeSpan.FromSeconds(20), () => "never free");

        Assert.Equal(number, taken[0].Number);
        Assert.True(taken[0].Token > token);
        foreach (var op in (string[])["release", "pass"]) Assert.Equal(-1, (long)(await CallAsync(database, keys, op, "ghost", 1, number, token))[0]);
        Assert.Equal(-1, (long)(await CallAsync(database, keys, "beat", "ghost", 1, 2))[0]);
        var stats = await CallAsync(database, keys, "stats", "", 1);
        Assert.Equal((1, 2, 0, 1, 2), ((long)stats[3], (long)stats[6], (long)stats[7], (long)stats[8], (long)stats[9]));
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Pass_GoesToTheFirstInLineOrTellsWhoseTurnItIs(RedisKind kind)
    {
        await using var redis = await (await shared.OfAsync(kind)).ConnectAsync();
        var (keys, database) = (Keys(), redis.GetDatabase());
        foreach (var instance in (string[])["a", "b"]) await CallAsync(database, keys, "join", instance, 1);
        var (number, _, token) = Assert.Single(Mine(await CallAsync(database, keys, "beat", "a", 1, 1)));

        Assert.Equal(3, (long)(await CallAsync(database, keys, "pass", "a", 1, number, token))[0]);
        Assert.Empty(Mine(await CallAsync(database, keys, "beat", "b", 1, 1)));
        await CallAsync(database, keys, "beat", "a", 1, 2);
        Assert.Equal(2, (long)(await CallAsync(database, keys, "pass", "a", 1, number, token))[0]);
        Assert.Equal(1, (long)(await CallAsync(database, keys, "beat", "b", 1, -1))[0]);
        var passed = await CallAsync(database, keys, "pass", "a", 1, number, token);

        var (sameNumber, ticket, newToken) = Assert.Single(Mine(passed));
        Assert.Equal((1, number, 2), ((long)passed[0], sameNumber, ticket));
        Assert.True(newToken > token);
        Assert.Equal(0, (long)(await CallAsync(database, keys, "pass", "a", 1, number, token))[0]);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Ticket_ThatLeavesTheLine_KeepsAPermitThatItWasGrantedMeanwhile(RedisKind kind)
    {
        await using var redis = await (await shared.OfAsync(kind)).ConnectAsync();
        var (keys, database) = (Keys(), redis.GetDatabase());
        await CallAsync(database, keys, "join", "a", 1);
        var granted = Assert.Single(Mine(await CallAsync(database, keys, "beat", "a", 1, 1, 2)));

        var reply = await CallAsync(database, keys, "beat", "a", 1, -1, -2);

        Assert.Equal(0, (long)reply[1]);
        Assert.Equal(granted, Assert.Single(Mine(reply))); // something may be open under it
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task AnyCall_TornBeforeAnyOfItsWrites_IsCompletedByTheSameCall(RedisKind kind)
    {
        await using var redis = await (await shared.OfAsync(kind)).ConnectAsync();
        var (torn, database, tears) = (TornScript.Load(Path), redis.GetDatabase(), 0);
        foreach (var op in (string[])["join", "beat", "pass", "release", "clear", "leave"])
        {
            var wasTorn = true;
            for (var writes = 0; wasTorn; writes++)
            {
                // One permit of a's, and b and a's next in line.
                var keys = Keys();
                foreach (var instance in (string[])["a", "b"]) await CallAsync(database, keys, "join", instance, 1);
                var (number, _, token) = Assert.Single(Mine(await CallAsync(database, keys, "beat", "a", 1, 1)));
                await CallAsync(database, keys, "beat", "a", 1, 2);
                await CallAsync(database, keys, "beat", "b", 1, 1);
                RedisValue[] call = op switch
                {
                    "beat" => Arguments(op, "a", 1, 60_000, -2, 3),
                    "pass" or "release" => Arguments(op, "a", 1, 60_000, number, token),
                    "clear" => Arguments(op, "a", 1, 60_000, "id"),
                    _ => Arguments(op, "a", 1, 60_000),
                };

                wasTorn = await torn.RunAsync(database, writes, keys, call);
                if (wasTorn) tears++;
                await s_script.EvaluateAsync(database, keys, call);

                await AssertAddsUpAsync();
                // Everybody who is left gets a turn, in order, and then nothing is held.
                var left = op == "leave" ? ["b"] : (string[])["a", "b"];
                for (var turn = 0; turn < 8; turn++)
                {
                    foreach (var instance in left)
                    {
                        foreach (var mine in Mine(await CallAsync(database, keys, "beat", instance, 1)))
                            await CallAsync(database, keys, "release", instance, 1, mine.Number, mine.Token);
                        await AssertAddsUpAsync();
                    }
                }
                var stats = await CallAsync(database, keys, "stats", "", 1);
                Assert.Equal((0, 0, op == "clear" ? 1 : 0), ((long)stats[1], (long)stats[3], (long)stats[2]));

                async Task AssertAddsUpAsync()
                {
                    var stats = await CallAsync(database, keys, "stats", "", 1);
                    Assert.InRange((long)stats[3], 0, 1);
                    Assert.Equal((long)stats[6], (long)stats[3] + (long)stats[7] + (long)stats[8]);
                }
            }
        }
        Assert.True(tears >= 12, $"{tears} calls were torn");
    }

    private static RedisKey[] Keys() => SharedRedis.NewTag() is var tag ? [$"{{{tag}}}:permits", $"{{{tag}}}:line", $"{{{tag}}}:instances"] : [];

    private static (long Number, long Ticket, long Token)[] Mine(RedisResult[] reply) =>
        [.. Enumerable.Range(0, (reply.Length - 5) / 3).Select(i => ((long)reply[5 + (i * 3)], (long)reply[6 + (i * 3)], (long)reply[7 + (i * 3)]))];

    private static RedisValue[] Arguments(string op, string instance, int limit, int lease, params RedisValue[] rest) => [op, instance, limit, lease, .. rest];

    private static Task<RedisResult[]> CallAsync(IDatabase database, RedisKey[] keys, string op, string instance, int limit, params RedisValue[] rest) =>
        CallForAsync(60_000, database, keys, op, instance, limit, rest);

    private static async Task<RedisResult[]> CallForAsync(int lease, IDatabase database, RedisKey[] keys, string op, string instance, int limit, params RedisValue[] rest) =>
        (RedisResult[])(await s_script.EvaluateAsync(database, keys, Arguments(op, instance, limit, lease, rest)))!;
}
