using System.Buffers;
using System.Security.Cryptography;
using System.Text.Json;
using DistributedPatterns.WorkerPool;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace DistributedPatterns.Gateway.WorkerPool;

/// <summary>Remembers for a day which request an Idempotency-Key stands for. The job's id comes from the key, so a repeated submit cannot run it twice.</summary>
internal interface IJobKeys
{
    /// <summary>Returns false when the key stands for another request.</summary>
    ValueTask<bool> IsSameAsync(string key, JobRequest request);
}

/// <summary>For the channel variant: the keys are known where the jobs are.</summary>
internal sealed class LocalJobKeys(TimeProvider time) : IJobKeys
{
    private const int MaxKeys = 100_000;

    private readonly Dictionary<string, string> _requests = new(StringComparer.Ordinal);
    private readonly Queue<(string Key, long Since)> _order = new();
    private readonly Lock _lock = new();

    public ValueTask<bool> IsSameAsync(string key, JobRequest request)
    {
        var hash = JobFingerprint.Of(request);
        lock (_lock)
        {
            while (_order.TryPeek(out var oldest) && (_order.Count > MaxKeys || time.GetElapsedTime(oldest.Since) > JobFingerprint.KeepFor))
                _requests.Remove(_order.Dequeue().Key);
            if (_requests.TryGetValue(key, out var known)) return new(known == hash);
            _requests.Add(key, hash);
            _order.Enqueue((key, time.GetTimestamp()));
            return new(true);
        }
    }
}

/// <summary>For the distributed variant: any gateway may get the second request.</summary>
internal sealed class RedisJobKeys(Func<IConnectionMultiplexer> redis, IOptions<RedisWorkerPoolOptions> options) : IJobKeys
{
    public async ValueTask<bool> IsSameAsync(string key, JobRequest request)
    {
        var hash = JobFingerprint.Of(request);
        var name = $"{{{options.Value.KeyTag}}}:key:{key}";
        var database = redis().GetDatabase();
        return await database.StringSetAsync(name, hash, JobFingerprint.KeepFor, When.NotExists) || await database.StringGetAsync(name) == hash;
    }
}

internal static class JobFingerprint
{
    public static readonly TimeSpan KeepFor = TimeSpan.FromDays(1);

    public static string Of(JobRequest request)
    {
        var bytes = new ArrayBufferWriter<byte>();
        using var json = new Utf8JsonWriter(bytes);
        json.WriteStartObject();
        json.WritePropertyName(request.Job);
        request.Input.WriteTo(json); // without the blanks that it came with
        json.WriteEndObject();
        json.Flush();
        return Convert.ToHexString(SHA256.HashData(bytes.WrittenSpan));
    }
}
