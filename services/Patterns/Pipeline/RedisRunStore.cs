using System.Globalization;
using System.Text.Json;
using DistributedPatterns.Redis;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace DistributedPatterns.Pipeline;

/// <summary>What all processes know of the runs: one record a run, driven by one producer at a time under an epoch (<c>runs.lua</c>).</summary>
internal sealed class RedisRunStore
{
    public const string OpenBell = "open";

    private static readonly RedisScript s_script = RedisScript.Load("Pipeline/runs.lua");

    private readonly RedisKey[] _keys;
    private readonly IConnectionMultiplexer _redis;
    private readonly GrpcPipelineOptions _options;

    public RedisRunStore(IConnectionMultiplexer redis, IOptions<GrpcPipelineOptions> options)
    {
        _redis = redis;
        _options = options.Value;
        var tag = _options.KeyTag;
        _keys = [$"{{{tag}}}:request", $"{{{tag}}}:lease", $"{{{tag}}}:state", $"{{{tag}}}:status", $"{{{tag}}}:ended"];
        BellChannel = RedisChannel.Literal($"{{{tag}}}:bell");
    }

    /// <summary>Gets what is rung with <see cref="OpenBell"/> after a run was created, and with the run's id after it ended.</summary>
    public RedisChannel BellChannel { get; }

    /// <summary>Records a run, unless its id exists already.</summary>
    /// <exception cref="PipelineFullException">No room.</exception>
    public async Task CreateAsync(string id, StoredRequest request)
    {
        var json = JsonSerializer.Serialize(request, PipelineJson.Default.StoredRequest);
        var reply = await EvaluateAsync("create", id, json, _options.MaxRuns, Milliseconds(_options.KeepEnded)).ConfigureAwait(false);
        if ((int)reply[0] == 0) throw new PipelineFullException(_options.MaxRuns, (int)reply[1]);
        if ((int)reply[0] == 1) await RingAsync(OpenBell).ConfigureAwait(false);
    }

    /// <summary>Takes the oldest run that nobody drives, or returns <see langword="null"/>.</summary>
    public async Task<ClaimedRun?> ClaimAsync()
    {
        var reply = await EvaluateAsync("claim", "", Milliseconds(_options.Lease), Milliseconds(_options.KeepEnded)).ConfigureAwait(false);
        return reply.Length == 0
            ? null
            : new ClaimedRun(
                (string)reply[0]!, (long)reply[1], (int)reply[2], Stop((int)reply[3]),
                JsonSerializer.Deserialize((string)reply[4]!, PipelineJson.Default.StoredRequest)!);
    }

    /// <summary>Keeps the lease and publishes how far the run is. False once another epoch has the run.</summary>
    public async Task<(bool Held, PipelineStop? Stop)> RenewAsync(string id, long epoch, PipelineStatus status)
    {
        var reply = await EvaluateAsync("renew", id, Text(epoch), Milliseconds(_options.Lease), ToJson(status)).ConfigureAwait(false);
        return (int)reply[0] == 1 ? (true, Stop((int)reply[1])) : (false, null);
    }

    /// <summary>Begins the next epoch of a run that is still ours, or returns <see langword="null"/>.</summary>
    public async Task<long?> ReplayAsync(string id, long epoch)
    {
        var reply = await EvaluateAsync("replay", id, Text(epoch)).ConfigureAwait(false);
        return (int)reply[0] == 1 ? (long)reply[1] : null;
    }

    /// <summary>Ends a run. False when another epoch has it: this outcome counts for nothing then.</summary>
    public async Task<bool> FinishAsync(string id, long epoch, PipelineStatus status)
    {
        var reply = await EvaluateAsync("finish", id, Text(epoch), ToJson(status)).ConfigureAwait(false);
        if ((int)reply[0] != 1) return false;
        await RingAsync(id).ConfigureAwait(false);
        return true;
    }

    /// <summary>Lets another producer take the run at once.</summary>
    public async Task ReleaseAsync(string id, long epoch)
    {
        await EvaluateAsync("release", id, Text(epoch)).ConfigureAwait(false);
        await RingAsync(OpenBell).ConfigureAwait(false);
    }

    public async Task StopAsync(string id, PipelineStop how, PipelineStatus ifNobodyDrives)
    {
        var reply = await EvaluateAsync("stop", id, how == PipelineStop.Drain ? 1 : 2, ToJson(ifNobodyDrives)).ConfigureAwait(false);
        if ((int)reply[0] == 2) await RingAsync(id).ConfigureAwait(false);
    }

    /// <summary>Reads a run's status, or <see langword="null"/> when the id is unknown or forgotten.</summary>
    public async Task<PipelineStatus?> GetAsync(string id)
    {
        var reply = await EvaluateAsync("get", id).ConfigureAwait(false);
        if (reply.Length == 0) return null;
        var request = JsonSerializer.Deserialize((string)reply[0]!, PipelineJson.Default.StoredRequest)!;
        var json = (string)reply[1]!;
        var status = json.Length > 0
            ? JsonSerializer.Deserialize(json, PipelineJson.Default.PipelineStatus)!
            : new PipelineStatus { Id = id, Pipeline = request.Pipeline, Input = request.Input, State = PipelineState.Waiting };
        var (isOpen, isDriven) = ((int)reply[2] == 1, (long)reply[5] > 0 && (long)reply[3] > 0);
        if (!isOpen) return status;
        return status with
        {
            State = !isDriven ? PipelineState.Waiting
                : Stop((int)reply[6]) is PipelineStop.Drain ? PipelineState.Draining
                : PipelineState.Running,
        };
    }

    private async Task<RedisResult[]> EvaluateAsync(string operation, string id, params RedisValue[] arguments)
    {
        var reply = await s_script.EvaluateAsync(_redis.GetDatabase(), _keys, [operation, id, .. arguments]).ConfigureAwait(false);
        return (RedisResult[])reply!;
    }

    private Task<long> RingAsync(string message) => _redis.GetSubscriber().PublishAsync(BellChannel, message, CommandFlags.FireAndForget);

    private static string ToJson(PipelineStatus status) => JsonSerializer.Serialize(status, PipelineJson.Default.PipelineStatus);

    private static long Milliseconds(TimeSpan time) => (long)time.TotalMilliseconds;

    private static string Text(long epoch) => epoch.ToString(CultureInfo.InvariantCulture);

    private static PipelineStop? Stop(int stored) => stored switch { 1 => PipelineStop.Drain, 2 => PipelineStop.Abort, _ => null };
}

/// <summary>A run's request as it lies in Redis.</summary>
/// <param name="TraceParent">The span that asked for the run, so that one trace goes on in the producer.</param>
internal sealed record StoredRequest(string Pipeline, string Input, string? TraceParent);

/// <summary>A run that this process drives until its lease is lost.</summary>
/// <param name="Attempts">How many producers have driven the run, this one included.</param>
internal sealed record ClaimedRun(string Id, long Epoch, int Attempts, PipelineStop? Stop, StoredRequest Request);
