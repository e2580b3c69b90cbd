using DistributedPatterns.Redis;
using DistributedPatterns.Tests.Support;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.ProducerConsumer;

/// <summary><c>queue.lua</c> itself on a queue of a test's own, and an auditor that reads all its keys in one step.</summary>
internal sealed class QueueScript(IDatabase database, string tag, int doneKeep = 1_000)
{
    public const string Path = "ProducerConsumer/queue.lua";

    // Every id is in the set of its state and in no other, every payload is there, and the counters are those of the sets.
    private const string Audit = """
        local call = redis.call
        local names = {r = 1, d = 2, l = 3, x = 6, f = 7, c = 7, o = 7}
        local records, seen = call('HGETALL', KEYS[5]), {}
        for i = 1, #records, 2 do
          local id, state = records[i], string.sub(records[i + 1], 1, 1)
          seen[id] = names[state]
          for _, k in ipairs({1, 2, 3, 6, 7}) do
            local inside = call('ZSCORE', KEYS[k], id)
            if (inside and true or false) ~= (k == names[state]) then return 'id ' .. id .. ' in state ' .. state .. ': wrong about set ' .. k end
          end
          if names[state] ~= 7 and call('HEXISTS', KEYS[4], id) == 0 then return 'id ' .. id .. ' has lost its payload' end
          if names[state] == 7 and call('HEXISTS', KEYS[4], id) == 1 then return 'id ' .. id .. ' has ended and keeps its payload' end
        end
        for _, k in ipairs({1, 2, 3, 6, 7}) do
          for _, id in ipairs(call('ZRANGE', KEYS[k], 0, -1)) do if seen[id] ~= k then return 'id ' .. id .. ' in set ' .. k .. ' has no record' end end
        end
        local n = 0
        for _, k in ipairs({1, 2, 3, 6}) do n = n + call('ZCARD', KEYS[k]) end
        for _, f in ipairs({'done', 'cancelled', 'dropped'}) do n = n + tonumber(call('HGET', KEYS[8], f) or '0') end
        local entered = tonumber(call('HGET', KEYS[8], 'in') or '0')
        if n ~= entered then return 'in is ' .. entered .. ', accounted for are ' .. n end
        return 'ok'
        """;

    private static readonly RedisScript s_script = RedisScript.Load(Path);
    private static readonly TornScript s_torn = TornScript.Load(Path);

    public RedisKey[] Keys { get; } =
        [.. ((string[])["ready", "delayed", "lease", "jobs", "info", "dead", "done", "meta"]).Select(name => (RedisKey)$"{{{tag}}}:{name}")];

    public async Task<RedisResult[]> CallAsync(string operation, params RedisValue[] arguments) =>
        (RedisResult[])(await s_script.EvaluateAsync(database, Keys, [.. Head(operation), .. arguments]))!;

    /// <summary>Lets the call die after so many writes; false when it has no more than that.</summary>
    public Task<bool> TearAsync(int writes, string operation, params RedisValue[] arguments) =>
        s_torn.RunAsync(database, writes, Keys, [.. Head(operation), .. arguments]);

    public async Task AssertWholeAsync(string when) => Assert.True("ok" == (string?)await database.ScriptEvaluateAsync(Audit, Keys), $"{when}: {await database.ScriptEvaluateAsync(Audit, Keys)}");

    public async Task<int> EnqueueAsync(string id, string payload = "payload", string call = "call", string full = "r", int capacity = 100) =>
        (int)(await CallAsync("enqueue", capacity, full, 100, call, id, payload, 0, 0, 0))[2];

    /// <summary>Takes one item: its token, or <see langword="null"/>.</summary>
    public async Task<(string Id, string Token)?> ReserveAsync(string request, int leaseMs = 60_000) =>
        await CallAsync("reserve", leaseMs, 3, 1, request) is [_, _, var id, _, var token, ..] ? ((string)id!, (string)token!) : null;

    public async Task<int> SettleAsync(string verb, string id, string token, string text = "", int ms = 0) => (int)(await CallAsync("settle", 3, verb, id, token, ms, text))[2];

    private RedisValue[] Head(string operation) => [operation, 10, doneKeep, 60_000];
}
