using System.Globalization;
using DistributedPatterns.Redis;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.Support;

/// <summary>Runs a script of the library that dies before one of its writes, as a killed Garnet leaves it.</summary>
/// <remarks>
/// Garnet isolates scripts from each other, but its log holds one record a write and nothing around a script: a server that is
/// killed comes back with the first writes of its last script and without the rest. (Redis logs a script whole.) Neither server
/// rolls back a script that fails, so one that fails on purpose leaves exactly that state.
/// </remarks>
internal sealed class TornScript
{
    // The script sees this table instead of the server's own, whose fields cannot be replaced.
    private const string Wrapper = """
        local redis = (function()
          local server, left, reads = redis, WRITES, {TIME=1,GET=1,EXISTS=1,TYPE=1,STRLEN=1,PTTL=1,TTL=1,HGET=1,HMGET=1,HGETALL=1,HKEYS=1,HVALS=1,HEXISTS=1,HLEN=1,
            LLEN=1,LRANGE=1,LINDEX=1,SCARD=1,SISMEMBER=1,SMEMBERS=1,ZCARD=1,ZCOUNT=1,ZSCORE=1,ZMSCORE=1,ZRANGE=1,ZRANGEBYSCORE=1,ZREVRANGE=1,ZREVRANGEBYSCORE=1,ZRANK=1}
          return {error_reply = server.error_reply, status_reply = server.status_reply, sha1hex = server.sha1hex, log = function() end,
            call = function(command, ...)
              if not reads[string.upper(command)] then
                if left == 0 then error('torn here') end
                left = left - 1
              end
              return server.call(command, ...)
            end}
        end)()

        """;

    private readonly string _text;

    private TornScript(string text) => _text = text;

    /// <summary>Loads an embedded script, by its path below the library's folder.</summary>
    public static TornScript Load(string path)
    {
        using var stream = typeof(RedisScript).Assembly.GetManifestResourceStream(path) ?? throw new FileNotFoundException($"No script '{path}' is embedded.", path);
        using var reader = new StreamReader(stream);
        return new TornScript(reader.ReadToEnd());
    }

    /// <summary>Runs the script up to its write number <paramref name="writes"/>, that one included.</summary>
    /// <returns>Whether it was torn; false when it has no more writes than that and ended as ever.</returns>
    public async Task<bool> RunAsync(IDatabaseAsync database, int writes, RedisKey[] keys, params RedisValue[] arguments)
    {
        try
        {
            await database.ScriptEvaluateAsync(Wrapper.Replace("WRITES", writes.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal) + _text, keys, arguments);
            return false;
        }
        catch (RedisServerException e) when (e.Message.Contains("torn here", StringComparison.Ordinal))
        {
            return true;
        }
    }
}
