using DistributedPatterns.Redis;
using DistributedPatterns.Tests.Support;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.PublishSubscribe;

/// <summary>topic.lua itself: many publishers at once, calls that are sent again, and a server that is killed in the midst of one.</summary>
public sealed class TopicScriptTests(SharedRedis shared)
{
    private const int HangLimit = 60_000;
    private const int Retain = 1_000;
    private const int TtlMs = 60_000;

    private static readonly RedisScript s_script = RedisScript.Load("PublishSubscribe/topic.lua");

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Append_OfManyPublishersThatSendEverythingTwice_NumbersEachMessageOnce(RedisKind kind)
    {
        const int Publishers = 6;
        const int Calls = 40;
        var tag = SharedRedis.NewTag();
        await Task.WhenAll(Enumerable.Range(0, Publishers).Select(publisher => Task.Run(async () =>
        {
            await using var log = await Log.OpenAsync(await shared.OfAsync(kind), tag);
            for (var call = 1; call <= Calls; call++)
            {
                var first = await log.AppendAsync($"p{publisher}", call, $"{publisher}:{call}:a", $"{publisher}:{call}:b");
                var again = await log.AppendAsync($"p{publisher}", call, $"{publisher}:{call}:a", $"{publisher}:{call}:b");
                Assert.Equal((1L, 2L), ((long)first[0], (long)again[0]));
                Assert.Equal(first[1..].Select(part => (string?)part), again[1..].Select(part => (string?)part));
            }
        })));

        await using var reader = await Log.OpenAsync(await shared.OfAsync(kind), tag);
        var entries = await reader.ReadAsync();
        Assert.Equal(Enumerable.Range(1, Publishers * Calls * 2).Select(n => (long)n), entries.Select(entry => entry.Number));
        Assert.Equal(entries.Select(entry => entry.Place).Order().Distinct(), entries.Select(entry => entry.Place));
        Assert.Equal(Publishers * Calls * 2, entries.Select(entry => entry.Message).Distinct().Count());
        foreach (var publisher in entries.GroupBy(entry => entry.Message[0]))
            Assert.Equal(Enumerable.Range(1, Calls).SelectMany(call => (string[])[$"{publisher.Key}:{call}:a", $"{publisher.Key}:{call}:b"]), publisher.Select(entry => entry.Message));
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Append_TornBeforeAnyOfItsWrites_IsDoneOnceByTheSameCallAndNotSeenBefore(RedisKind kind)
    {
        var torn = TornScript.Load("PublishSubscribe/topic.lua");
        await using var log = await Log.OpenAsync(await shared.OfAsync(kind), SharedRedis.NewTag());
        var (tears, call) = (0, 0);
        for (var write = 0; write < 12; write++)
        {
            call++;
            var before = (await log.ReadAsync()).Count;
            var isTorn = await torn.RunAsync(log.Database, write, log.Keys, Log.Append("p", call, $"{call}:a", $"{call}:b"));
            tears += isTorn ? 1 : 0;
            Assert.Contains((await log.ReadAsync()).Count, (int[])[before, before + 2]); // all of it or nothing
            if (write % 2 == 0) await log.AppendAsync("other", (write / 2) + 1, $"other {write}");
            await log.AppendAsync("p", call, $"{call}:a", $"{call}:b");
        }

        var entries = await log.ReadAsync();
        Assert.True(tears >= 5, $"{tears} calls were torn");
        Assert.Equal(Enumerable.Range(1, entries.Count).Select(n => (long)n), entries.Select(entry => entry.Number));
        Assert.Equal((call * 2) + 6, entries.Count);
        Assert.Equal(entries.Count, entries.Select(entry => entry.Message).Distinct().Count());
    }

    [Fact(Timeout = HangLimit)]
    public async Task Append_OfANumberThatIsNotNext_IsRefusedAndAppendsNothing()
    {
        await using var log = await Log.OpenAsync(await shared.OfAsync(RedisKind.Garnet), SharedRedis.NewTag());
        await log.AppendAsync("p", 1, "a");
        await log.AppendAsync("p", 2, "b");

        foreach (var number in (int[])[1, 4]) Assert.Equal(-1, (int)(await log.AppendAsync("p", number, "x"))[0]);

        Assert.Equal(["a", "b"], (await log.ReadAsync()).Select(entry => entry.Message));
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Relay_HasOneOwnerAtATime_AndKeepsWhatThatOneSays(RedisKind kind)
    {
        await using var log = await Log.OpenAsync(await shared.OfAsync(kind), SharedRedis.NewTag());
        var head = string.Join('-', (await log.AppendAsync("p", 1, "a"))[1..].Select(part => (string?)part));

        Assert.Equal(("1", head), await log.RelayAsync("g", "one", 60_000, ""));
        Assert.Equal(("1", "1-2-3"), await log.RelayAsync("g", "one", 60_000, "1-2-3"));
        Assert.Equal(("0", "1-2-3"), await log.RelayAsync("g", "two", 60_000, "9-9-9"));
        Assert.Equal(("1", "4-5-6"), await log.RelayAsync("g", "one", 1, "4-5-6"));
        await Eventually.TrueAsync(async () => await log.RelayAsync("g", "two", 60_000, "9-9-9") == ("1", "4-5-6"), TimeSpan.FromSeconds(10), () => "the lease does not end");
        Assert.Equal(("0", "4-5-6"), await log.RelayAsync("g", "one", 60_000, "7-7-7"));
        Assert.Equal(("1", head), await log.RelayAsync("h", "one", 60_000, ""));
        Assert.Equal("-1", (await log.RelayAsync("third", "one", 60_000, "", most: 2)).Is);
    }

    /// <summary>A log, and a connection of its own to it.</summary>
    private sealed class Log : IAsyncDisposable
    {
        private readonly ConnectionMultiplexer _redis;

        private Log(ConnectionMultiplexer redis, string tag) => (_redis, Keys) = (redis, [$"{{{tag}}}:log", $"{{{tag}}}:meta", $"{{{tag}}}:seen"]);

        public IDatabase Database => _redis.GetDatabase();

        public RedisKey[] Keys { get; }

        public static async Task<Log> OpenAsync(RedisBackend server, string tag) => new(await server.ConnectAsync(), tag);

        public static RedisValue[] Append(string publisher, int number, params string[] messages) =>
            ["append", Retain, publisher, number, TtlMs, .. messages.Select(message => (RedisValue)message)];

        public Task<RedisResult[]> AppendAsync(string publisher, int number, params string[] messages) => CallAsync(Append(publisher, number, messages));

        public async Task<List<(long Place, long Number, string Message)>> ReadAsync()
        {
            var reply = await CallAsync("read", 0, Retain);
            return [.. reply[3..].Select(entry => ((string)entry!).Split(':', 3)).Select(parts => (long.Parse(parts[0], null), long.Parse(parts[1], null), parts[2]))];
        }

        public async Task<(string Is, string? Position)> RelayAsync(string group, string owner, int leaseMs, string position, int most = 64)
        {
            var reply = await CallAsync("relay", group, owner, leaseMs, position, most);
            return ((string)reply[0]!, reply.Length > 1 ? (string?)reply[1] : null);
        }

        public ValueTask DisposeAsync() => _redis.DisposeAsync();

        private async Task<RedisResult[]> CallAsync(params RedisValue[] arguments) => (RedisResult[])(await s_script.EvaluateAsync(Database, Keys, arguments))!;
    }
}
