using System.Collections.Concurrent;
using DistributedPatterns.Redis;
using DistributedPatterns.Tests.Support;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.SingleFlight;

/// <summary>flight.lua itself: what many processes at once cannot break, and what a server that is killed in the midst of it leaves behind.</summary>
public sealed class FlightScriptTests(SharedRedis shared)
{
    private const int HangLimit = 60_000;
    private const int Lease = 60_000;

    private static readonly RedisScript s_script = RedisScript.Load("SingleFlight/flight.lua");

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Flights_OfManyProcesses_HaveOneLeaderEachAndOneOutcomeAToken(RedisKind kind)
    {
        const int Processes = 8;
        const int Rounds = 60;
        await using var flight = await Flight.OpenAsync(await shared.OfAsync(kind));
        var leaders = new ConcurrentDictionary<long, string>();
        var published = new ConcurrentDictionary<long, string>();
        var alive = 0;

        await Task.WhenAll(Enumerable.Range(0, Processes).Select(async i =>
        {
            var random = new Random(i);
            for (var round = 0; round < Rounds; round++)
            {
                var (me, newest) = ($"p{i}-{round}", 0L);
                while (true)
                {
                    var reply = await flight.CallAsync("join", me, newest, "-");
                    var token = (long)reply[1];
                    Assert.True(token >= newest);
                    if ((string)reply[0]! == "wait")
                    {
                        newest = token;
                        continue;
                    }
                    if ((string)reply[0]! == "lead")
                    {
                        Assert.Equal(me, leaders.GetOrAdd(token, me));
                        Assert.Equal(token, (long)(await flight.CallAsync("join", me, newest, "-"))[1]); // sent again, as after a time-out
                        Assert.Equal(1, Interlocked.Increment(ref alive));
                        Assert.Equal("ok", (string?)(await flight.CallAsync("extend", me, token))[0]);
                        Interlocked.Decrement(ref alive);
                        published[token] = me;
                        if (random.Next(5) == 0)
                        {
                            Assert.Equal("ok", (string?)(await flight.CallAsync("release", me, token))[0]);
                            Assert.True(published.TryRemove(token, out _));
                            Assert.Equal("fenced", (string?)(await flight.CallAsync("done", me, token, me, 0))[0]);
                            break;
                        }
                        Assert.Equal("ok", (string?)(await flight.CallAsync("done", me, token, me, 0))[0]);
                        await flight.CallAsync("done", me, token, "sent again", 0); // changes nothing, whatever has been published since
                        break;
                    }
                    Assert.Equal(published[token], (string?)reply[2]);
                    break;
                }
            }
        }));

        Assert.True(leaders.Count > 1);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task AnyCall_TornBeforeAnyOfItsWrites_IsCompletedByTheSameCall(RedisKind kind)
    {
        var torn = TornScript.Load("SingleFlight/flight.lua");
        await using var flight = await Flight.OpenAsync(await shared.OfAsync(kind));
        var tears = 0;
        for (var write = 0; write < 2; write++)
        {
            var me = $"leader {write}".Replace(' ', '-');
            await CallAsync("forget", "-");
            var token = (long)(await CallAsync("join", me, 0, "-"))[1];
            Assert.Equal("wait", (string?)(await CallAsync("join", "waiter", 0, "-"))[0]);
            Assert.Equal(1, (int)(await CallAsync("extend", me, token))[1]);
            Assert.Equal(("busy", 1), await OutcomeAsync("abandon", me, token));
            Assert.Equal(("ok", 1), await OutcomeAsync("done", me, token, "value", 0));
            var done = await CallAsync("join", "waiter", token, "-");
            Assert.Equal(("done", "value"), ((string?)done[0], (string?)done[2]));
            Assert.Equal("lead", (string?)(await CallAsync("join", "newcomer", 0, "-"))[0]); // nothing was kept for those who come later
            await CallAsync("forget", "-");
            token = (long)(await CallAsync("join", me, 0, "-"))[1];
            Assert.Equal(("ok", 0), await OutcomeAsync("error", me, token, "why", 0));
            Assert.Equal("error", (string?)(await CallAsync("join", "late", token, "-"))[0]);

            async Task<(string?, int)> OutcomeAsync(params RedisValue[] arguments) => await CallAsync(arguments) is var reply ? ((string?)reply[0], (int)reply[1]) : default;

            async Task<RedisResult[]> CallAsync(params RedisValue[] arguments)
            {
                tears += await torn.RunAsync(flight.Database, write, flight.Keys, Flight.Arguments(arguments)) ? 1 : 0;
                return await flight.CallAsync(arguments);
            }
        }
        Assert.True(tears >= 10, $"{tears} calls were torn");
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Result_IsKeptForItsTimeAndBytesComeBackAsTheyWere(RedisKind kind)
    {
        await using var flight = await Flight.OpenAsync(await shared.OfAsync(kind));
        var value = Enumerable.Range(0, 4_096).Select(i => (byte)i).ToArray();
        var token = (long)(await flight.CallAsync("join", "a", 0, "00-trace-01"))[1];
        Assert.Equal("00-trace-01", (string?)(await flight.CallAsync("join", "b", 0, "-"))[3]);
        await flight.CallAsync("done", "a", token, value, 300_000);

        var kept = await flight.CallAsync("join", "c", 0, "-");

        Assert.Equal(("done", token), ((string?)kept[0], (long)kept[1]));
        Assert.Equal(value, (byte[]?)kept[2]);
        // All three expire by themselves.
        foreach (var key in flight.Keys)
        {
            if (await flight.Database.KeyExistsAsync(key)) Assert.InRange((await flight.Database.KeyTimeToLiveAsync(key))!.Value.TotalMilliseconds, 1, 300_000);
        }
    }

    /// <summary>A flight, and connections that really run side by side.</summary>
    private sealed class Flight(IReadOnlyList<ConnectionMultiplexer> connections) : IAsyncDisposable
    {
        private readonly string _tag = SharedRedis.NewTag();
        private int _next;

        public RedisKey[] Keys => [$"{{{_tag}}}:run", $"{{{_tag}}}:result", $"{{{_tag}}}:waiters"];

        public IDatabase Database => connections[Interlocked.Increment(ref _next) % connections.Count].GetDatabase();

        public static async Task<Flight> OpenAsync(RedisBackend server) => new(await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => server.ConnectAsync())));

        public static RedisValue[] Arguments(params RedisValue[] arguments) => [arguments[0], arguments[1], Lease, .. arguments[2..]];

        public async Task<RedisResult[]> CallAsync(params RedisValue[] arguments) => (RedisResult[])(await s_script.EvaluateAsync(Database, Keys, Arguments(arguments)))!;

        public async ValueTask DisposeAsync()
        {
            foreach (var connection in connections) await connection.DisposeAsync();
        }
    }
}
