using System.Security.Cryptography;
using System.Text.RegularExpressions;
using DistributedPatterns.Gateway.Problems;
using StackExchange.Redis;

namespace DistributedPatterns.Gateway.Idempotency;

/// <summary>Remembers for a day which request an Idempotency-Key stands for. What the request makes takes its id from the key, so a repeated one makes it once.</summary>
internal interface IRequestKeys
{
    /// <summary>Returns false when the key stands for another request.</summary>
    /// <param name="fingerprint">A hash of what the request asks for, see <see cref="IdempotencyKey.FingerprintOf"/>.</param>
    ValueTask<bool> IsSameAsync(string key, string fingerprint);
}

/// <summary>For a channel variant: the keys are known where what they made is.</summary>
internal sealed class LocalRequestKeys(TimeProvider time) : IRequestKeys
{
    private const int MaxKeys = 100_000;

    private readonly Dictionary<string, string> _requests = new(StringComparer.Ordinal);
    private readonly Queue<(string Key, long Since)> _order = new();
    private readonly Lock _lock = new();

    public ValueTask<bool> IsSameAsync(string key, string fingerprint)
    {
        lock (_lock)
        {
            while (_order.TryPeek(out var oldest) && (_order.Count > MaxKeys || time.GetElapsedTime(oldest.Since) > IdempotencyKey.KeepFor))
                _requests.Remove(_order.Dequeue().Key);
            if (_requests.TryGetValue(key, out var known)) return new(known == fingerprint);
            _requests.Add(key, fingerprint);
            _order.Enqueue((key, time.GetTimestamp()));
            return new(true);
        }
    }
}

/// <summary>For a distributed variant: any gateway may get the second request.</summary>
/// <param name="redis">Asked for when it is first needed.</param>
/// <param name="tag">The hash tag of the keys in Redis.</param>
internal sealed class RedisRequestKeys(Func<IConnectionMultiplexer> redis, string tag) : IRequestKeys
{
    public async ValueTask<bool> IsSameAsync(string key, string fingerprint)
    {
        var name = $"{{{tag}}}:key:{key}";
        var database = redis().GetDatabase();
        return await database.StringSetAsync(name, fingerprint, IdempotencyKey.KeepFor, When.NotExists) || await database.StringGetAsync(name) == fingerprint;
    }
}

/// <summary>The header <c>Idempotency-Key</c>.</summary>
internal static partial class IdempotencyKey
{
    public const string Header = "Idempotency-Key";

    public static readonly TimeSpan KeepFor = TimeSpan.FromDays(1);

    /// <exception cref="ProblemException">It is no key.</exception>
    public static void Check(string? key)
    {
        if (key is not null && !Pattern().IsMatch(key))
            throw new ProblemException(ProblemKind.InvalidParameter, $"The header {Header} takes 1 to 64 letters, digits, '-' and '_'.");
    }

    public static string FingerprintOf(ReadOnlySpan<byte> request) => Convert.ToHexString(SHA256.HashData(request));

    [GeneratedRegex(@"\A[A-Za-z0-9_-]{1,64}\z")]
    private static partial Regex Pattern();
}
