using System.Collections.Concurrent;
using DistributedPatterns.Tests.Support;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.ProducerConsumer;

/// <summary><c>queue.lua</c> itself: lost replies, torn scripts, and what many at once cannot break.</summary>
public sealed class QueueScriptTests(SharedRedis shared)
{
    private static readonly string[] s_verbs = ["ack", "fail", "nack", "release", "dead"];
    private static readonly string[] s_policies = ["r", "o", "n"];

    [Theory]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task LostReplies_TheSameCallAgain_IsTheSameOutcome(RedisKind kind)
    {
        await using var redis = await (await shared.OfAsync(kind)).ConnectAsync();
        var queue = new QueueScript(redis.GetDatabase(), SharedRedis.NewTag());
        for (var i = 0; i < 2; i++) Assert.Equal(1, await queue.EnqueueAsync("a", call: "one")); // accepted, and still accepted
        Assert.Equal(10, await queue.EnqueueAsync("a", call: "two")); // somebody else's: a duplicate, ready
        await queue.EnqueueAsync("b");

        var first = await queue.ReserveAsync("request");
        Assert.Equal(first, await queue.ReserveAsync("request"));
        Assert.Equal(1, (int)(await queue.CallAsync("reserve", 60_000, 3, 1, "request"))[5]); // attempt
        var second = await queue.ReserveAsync("another");
        Assert.Equal(("a", "b"), (first!.Value.Id, second!.Value.Id));
        Assert.True(long.Parse(second.Value.Token) > long.Parse(first.Value.Token));

        for (var i = 0; i < 2; i++) Assert.Equal(1, await queue.SettleAsync("ack", "a", first.Value.Token, "result"));
        Assert.Null(await queue.ReserveAsync("request")); // settled: the hand-out cannot be asked for again
        Assert.Equal(10 + 4, await queue.EnqueueAsync("a", call: "three")); // a duplicate, finished
        Assert.Equal("result", (string?)(await queue.CallAsync("status", "a"))[4]);
        Assert.Equal(0, (int)(await queue.CallAsync("stats"))[6]); // fenced: no repetition was
        await queue.AssertWholeAsync("at the end");
    }

    [Theory]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Reserve_AfterTheLeaseRanOut_SaysWhetherTheHolderWasEverHeardOf(RedisKind kind)
    {
        await using var redis = await (await shared.OfAsync(kind)).ConnectAsync();
        var queue = new QueueScript(redis.GetDatabase(), SharedRedis.NewTag());
        await queue.EnqueueAsync("a");
        var silent = await queue.ReserveAsync("1", leaseMs: 1);
        await AgainAsync("v");
        await AgainAsync("e");
        Assert.Equal(0, await queue.SettleAsync("ack", "a", silent!.Value.Token));
        Assert.Equal(1, (int)(await queue.CallAsync("stats"))[6]);

        async Task AgainAsync(string why)
        {
            RedisResult[] reply = [];
            await Eventually.TrueAsync(async () => (reply = await queue.CallAsync("reserve", 60_000, 9, 1, Guid.NewGuid().ToString())).Length > 2, TimeSpan.FromSeconds(30), () => "no redelivery");
            Assert.Equal(why, (string?)reply[9]);
            Assert.Equal(1, await queue.SettleAsync("extend", "a", (string)reply[4]!, ms: 1));
        }
    }

    [Theory]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task EveryOperation_TornAnywhereAndSentAgain_CountsOnce(RedisKind kind)
    {
        await using var redis = await (await shared.OfAsync(kind)).ConnectAsync();
        foreach (var operation in (string[])["enqueue", "drop", "reserve", "cancel", "replay", "seal", .. s_verbs])
        {
            var wasTorn = true;
            for (var writes = 0; wasTorn; writes++)
            {
                var queue = new QueueScript(redis.GetDatabase(), SharedRedis.NewTag(), doneKeep: 2);
                wasTorn = false;
                for (var i = 0; i < 4; i++) // so that something is forgotten too
                {
                    await queue.EnqueueAsync($"old-{i}");
                    var (id, token) = (await queue.ReserveAsync($"old-{i}"))!.Value;
                    if (i < 3) await queue.SettleAsync("ack", id, token, "r");
                    else await queue.SettleAsync("dead", id, token, "r");
                }
                await queue.EnqueueAsync("b");
                await TornAsync("enqueue", 100, "r", 100, "call-a", "a", "payload", 0, 0, 0, "c", "payload", 0, 0, 0);
                if (operation == "drop") await TornAsync("enqueue", 3, "o", 100, "call-d", "d", "payload", 0, 0, 0);
                var held = await TornAsync("reserve", 60_000, 3, 2, "request-1");
                Assert.Equal(operation == "drop" ? "a" : "b", (string?)held[2]);
                foreach (var verb in s_verbs) if (verb == operation) await TornAsync("settle", 3, verb, held[2].ToString(), held[4].ToString(), 0, "text");
                if (operation == "cancel") await TornAsync("cancel", "c");
                if (operation == "replay") await TornAsync("replay", 100, 10);
                if (operation == "seal") await redis.GetDatabase().ScriptEvaluateAsync("return 1"); // one write: nothing to tear
                var stats = await queue.CallAsync("stats");
                Assert.Equal(operation == "drop" ? 8 : 7, (int)stats[0]);
                await queue.AssertWholeAsync($"{operation} torn after {writes} writes and sent again");

                async Task<RedisResult[]> TornAsync(string name, params RedisValue[] arguments)
                {
                    if (name == operation || (name == "settle" && s_verbs.Contains(operation)) || (name == "enqueue" && operation == "drop" && arguments[1] == "o"))
                        wasTorn |= await queue.TearAsync(writes, name, arguments);
                    return await queue.CallAsync(name, arguments);
                }
            }
        }
    }

    [Theory]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task ManyConnectionsAtOnce_NoStateIsDoubledAndNothingIsLost(RedisKind kind)
    {
        const int Connections = 6;
        const int Calls = 250;
        const int Capacity = 20;
        var server = await shared.OfAsync(kind);
        var tag = SharedRedis.NewTag();
        var (tokens, acks) = (new ConcurrentDictionary<string, byte>(), new ConcurrentDictionary<string, int>());
        await Task.WhenAll(Enumerable.Range(0, Connections).Select(WorkAsync));
        await using var redis = await server.ConnectAsync();
        await new QueueScript(redis.GetDatabase(), tag).AssertWholeAsync("at the end");
        Assert.All(acks, ack => Assert.Equal(1, ack.Value));
        Assert.NotEmpty(acks);

        async Task WorkAsync(int number)
        {
            await using var own = await server.ConnectAsync();
            var queue = new QueueScript(own.GetDatabase(), tag);
            var random = new Random(number);
            for (var i = 0; i < Calls; i++)
            {
                switch (random.Next(8))
                {
                    case < 4:
                        var id = $"{random.Next(2_000)}";
                        var reply = await queue.CallAsync("enqueue", Capacity, s_policies[random.Next(3)], 10, Guid.NewGuid().ToString(), id, "p", random.Next(2) * 2, random.Next(3), random.Next(3) == 0 ? 3 : 0);
                        Assert.InRange((int)reply[0], 0, Capacity);
                        break;
                    case < 7:
                        var items = await queue.CallAsync("reserve", random.Next(4) == 0 ? 2 : 60_000, 3, random.Next(1, 4), Guid.NewGuid().ToString());
                        for (var at = 2; at < items.Length; at += 8)
                        {
                            Assert.True(tokens.TryAdd((string)items[at + 2]!, 0), "a token was issued twice");
                            var verb = s_verbs[random.Next(s_verbs.Length)];
                            var code = await queue.SettleAsync(verb, (string)items[at]!, (string)items[at + 2]!, "x");
                            if (code == 1 && verb is "ack") acks.AddOrUpdate($"{items[at + 2]}", 1, static (_, n) => n + 1);
                        }
                        break;
                    default:
                        await queue.CallAsync("cancel", $"{random.Next(2_000)}");
                        await queue.CallAsync("replay", Capacity, 3);
                        await queue.AssertWholeAsync("in between");
                        break;
                }
            }
        }
    }
}
