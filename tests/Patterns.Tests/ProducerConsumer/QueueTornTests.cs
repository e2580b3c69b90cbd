using DistributedPatterns.Redis;
using DistributedPatterns.Tests.Support;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.ProducerConsumer;

/// <summary><c>queue.lua</c> on a server that was killed in the middle of it: the ledger adds up in every reading, and the call again, or the lease, completes it.</summary>
public sealed class QueueTornTests(SharedRedis shared)
{
    private const string Script = "ProducerConsumer/queue.lua";
    private const int Items = 3;

    /// <summary>What is done with the items of a batch; the last of them stands for a call that never comes again.</summary>
    public static TheoryData<RedisKind, string> Cases => new MatrixTheoryData<RedisKind, string>(
        [RedisKind.Garnet, RedisKind.Redis],
        ["enqueue", "enqueue late", "drop oldest", "reserve", "expire", "ack", "fail", "nack", "nack late", "release", "dead", "bury", "cancel", "replay", "lost ack"]);

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task Call_TornBeforeAnyOfItsWrites_LosesAndDoublesNothing(RedisKind kind, string torn)
    {
        await using var redis = await (await shared.OfAsync(kind)).ConnectAsync();
        var wasTorn = true;
        for (var writes = 0; wasTorn; writes++)
        {
            var queue = new Queue(redis.GetDatabase(), torn, writes);
            await queue.EnqueueAsync("enqueue", 0);
            if (torn == "enqueue late") await queue.EnqueueAsync("enqueue late", 1, "late");
            if (torn == "drop oldest") await queue.EnqueueAsync("drop oldest", 0, "new", capacity: Items, full: "o");
            if (torn is "expire" or "bury")
            {
                await queue.ReserveAsync("", lease: 1);
                await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System, TestContext.Current.CancellationToken);
                await queue.ReserveAsync(torn, lease: 1, torn == "bury" ? 1 : 100, torn == "bury" ? 0 : 10);
            }
            if (torn == "reserve") await queue.ReserveAsync("reserve", lease: 1);
            if (torn == "ack") await queue.SettleAsync("ack", "ack", await queue.ReserveAsync(""));
            if (torn == "cancel") await queue.CancelAsync();
            if (torn is "fail" or "nack" or "nack late" or "release" or "dead" or "replay")
            {
                var verb = torn == "replay" ? "dead" : torn.Split(' ')[0];
                await queue.SettleAsync(torn, verb, await queue.ReserveAsync(""), delay: torn == "nack late" ? 1 : 0);
            }
            if (torn is "replay") await queue.ReplayAsync("replay");
            // Whoever acknowledged has died with the server: the lease brings the items back, with their payloads.
            if (torn == "lost ack") await queue.TearAsync("settle", [100, .. Queue.Settlements("ack", await queue.ReserveAsync("", lease: 500), 0)]);
            if (torn is "dead" or "bury") await queue.ReplayAsync("");

            await queue.WorkOffAsync();
            wasTorn = queue.WasTorn;
        }
    }

    /// <summary>The script's calls on a queue of its own; the one that is named is torn once and then sent again.</summary>
    private sealed class Queue(IDatabase database, string tornCall, int writes)
    {
        private readonly TornScript _torn = TornScript.Load(Script);
        private readonly RedisScript _whole = RedisScript.Load(Script);
        private readonly RedisKey[] _keys = [.. ((string[])["ready", "delayed", "lease", "jobs", "info", "dead", "done", "meta"]).Select(AsKey(SharedRedis.NewTag()))];
        private readonly HashSet<string> _enqueued = [];
        private int _calls;

        public bool WasTorn { get; private set; }

        public async Task EnqueueAsync(string name, int delay, string prefix = "item", int capacity = 100, string full = "r")
        {
            RedisValue[] arguments = [capacity, full, 100, $"call{++_calls}"];
            for (var i = 0; i < Items; i++)
            {
                _enqueued.Add($"{prefix}{i}");
                arguments = [.. arguments, $"{prefix}{i}", $"payload of {prefix}{i}", delay, 0, 0];
            }
            var reply = await RunAsync(name, "enqueue", arguments);
            Assert.All(reply.Skip(2), code => Assert.Equal(1, (int)code));
        }

        public async Task<(string Id, string Token)[]> ReserveAsync(string name, int lease = 60_000, int attempts = 100, int count = 10)
        {
            var reply = await RunAsync(name, "reserve", lease, attempts, count, count == 0 ? "" : $"call{++_calls}");
            return [.. reply.Skip(2).Chunk(8).Select(item =>
            {
                Assert.Equal($"payload of {item[0]}", (string?)item[1]);
                return ((string)item[0]!, (string)item[2]!);
            })];
        }

        public async Task SettleAsync(string name, string verb, (string Id, string Token)[] items, int delay = 0)
        {
            var reply = await RunAsync(name, "settle", [100, .. Settlements(verb, items, delay)]);
            Assert.All(reply.Skip(2), code => Assert.Equal(verb == "dead" ? 2 : 1, (int)code));
        }

        public async Task CancelAsync()
        {
            foreach (var id in _enqueued) Assert.Equal(1, (int)(await RunAsync("cancel", "cancel", id))[0]);
        }

        public async Task ReplayAsync(string name) => await RunAsync(name, "replay", 100, 100);

        public async Task<bool> TearAsync(string operation, params RedisValue[] arguments)
        {
            var torn = await _torn.RunAsync(database, writes, _keys, [operation, 100, 100, 60_000, .. arguments]);
            WasTorn |= torn;
            await AddsUpAsync();
            return torn;
        }

        /// <summary>Delivers what is there until all that was accepted has ended, each once, and nothing is left of it in any index.</summary>
        public async Task WorkOffAsync()
        {
            long[] n = [];
            await Eventually.TrueAsync(
                async () =>
                {
                    if (await ReserveAsync("") is { Length: > 0 } items)
                    {
                        Assert.Distinct(items.Select(item => item.Id));
                        await SettleAsync("", "ack", items);
                    }
                    n = await AddsUpAsync();
                    var indexes = await Task.WhenAll(((int[])[0, 1, 2, 5]).Select(index => database.SortedSetLengthAsync(_keys[index])));
                    return n[10] + n[11] + n[12] + n[13] + indexes.Sum() == 0; // ready, delayed, leased, dead
                },
                TimeSpan.FromSeconds(10), () => $"not all ended: {string.Join(' ', n)}");
            Assert.Equal(_enqueued.Count, n[0]);
            var status = await WholeAsync("status", [.. _enqueued.Select(id => (RedisValue)id)]);
            foreach (var item in status.Chunk(5).Where(item => (string?)item[0] == "f")) Assert.StartsWith("result of ", (string?)item[4], StringComparison.Ordinal);
            Assert.Equal(_enqueued.Count, await database.SortedSetLengthAsync(_keys[6]));
        }

        public static RedisValue[] Settlements(string verb, (string Id, string Token)[] items, int delay) =>
            [.. items.SelectMany(item => (RedisValue[])[verb, item.Id, item.Token, delay, $"result of {item.Id}"])];

        private static Func<string, RedisKey> AsKey(string tag) => name => $"{{{tag}}}:{name}";

        private async Task<RedisResult[]> RunAsync(string name, string operation, params RedisValue[] arguments)
        {
            if (name == tornCall) await TearAsync(operation, arguments);
            var reply = await WholeAsync(operation, arguments);
            await AddsUpAsync();
            return reply;
        }

        private async Task<RedisResult[]> WholeAsync(string operation, params RedisValue[] arguments) =>
            (RedisResult[])(await _whole.EvaluateAsync(database, _keys, [operation, 100, 100, 60_000, .. arguments]))!;

        private async Task<long[]> AddsUpAsync()
        {
            var n = (long[])(await _whole.EvaluateAsync(database, _keys, ["stats", 100, 100, 60_000]))!;
            Assert.Equal(n[0], n[1] + n[2] + n[3] + n[10] + n[11] + n[12] + n[13]);
            return n;
        }
    }
}
