using System.Reflection;
using StackExchange.Redis;

namespace DistributedPatterns.Redis;

/// <summary>A Lua script shipped beside its pattern: one atomic transition on Redis.</summary>
/// <remarks>
/// Sent by its hash (EVALSHA) after the first use on a server. A time-out says nothing about whether the script ran, so
/// every script here is safe to send again with the same arguments.
/// </remarks>
public sealed class RedisScript
{
    private readonly string _text;

    private RedisScript(string text) => _text = text;

    /// <summary>Loads a script that is embedded in this assembly.</summary>
    /// <param name="path">Its path below the library's folder, for example <c>Pipeline/runs.lua</c>.</param>
    /// <exception cref="FileNotFoundException">No such script is embedded.</exception>
    public static RedisScript Load(string path)
    {
        using var stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(path)
            ?? throw new FileNotFoundException($"No script '{path}' is embedded in {nameof(DistributedPatterns)}.", path);
        using var reader = new StreamReader(stream);
        return new RedisScript(reader.ReadToEnd());
    }

    /// <summary>Runs the script. Every key it touches must be among <paramref name="keys"/>: Garnet locks those and no others.</summary>
    public Task<RedisResult> EvaluateAsync(IDatabaseAsync database, RedisKey[] keys, params RedisValue[] arguments) =>
        database.ScriptEvaluateAsync(_text, keys, arguments);
}
