using System.ComponentModel;
using System.Globalization;
using System.Threading.RateLimiting;
using DistributedPatterns.Gateway.Patterns;
using DistributedPatterns.Gateway.Problems;
using DistributedPatterns.RateLimiting;
using DistributedPatterns.Scenarios;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Gateway.RateLimiting;

/// <summary>Maps <c>/api/rate-limiting/{variant}</c>.</summary>
internal sealed class RateLimitingEndpoints(string variant, IServiceProvider services)
{
    private const int MaxCost = 1_000_000;
    private const int MaxKeyLength = 200;
    private static readonly TimeSpan s_unknown = TimeSpan.FromSeconds(1); // when a holder of permits is done nobody knows
    private static readonly TimeSpan s_maxWait = TimeSpan.FromSeconds(60);
    private static readonly string s_algorithms = string.Join(", ", Enum.GetValues<RateLimitAlgorithm>().Select(algorithm => algorithm.ToName()));

    private readonly VariantCalls<IRateLimiting> _calls = new(variant, services);
    private readonly TimeProvider _time = services.GetRequiredService<TimeProvider>();
    private IRateLimiting? _limits;

    public static void Map(RouteGroupBuilder group, string variant, IServiceProvider services)
    {
        var endpoints = new RateLimitingEndpoints(variant, services);
        group.MapGet("", (HttpContext http,
                [FromQuery, Description("gcra, token-bucket, window-counter, window-log, concurrency or pacer; gcra unless given.")] string? algorithm,
                [FromQuery, Description("Whose limit, up to 200 characters; 'anyone' unless given.")] string? key,
                [FromQuery, Description("How many permits, 1 to 1000000; 1 unless given.")] string? cost,
                [FromQuery, Description("Waits for its turn as long as this, 0s to 60s.")] string? wait,
                [FromQuery, Description("Work done once admitted; a concurrency permit is held meanwhile.")] string? work) =>
                endpoints.AcquireAsync(http, algorithm, key, cost, wait, work))
            .TakesQuery("algorithm", "key", "cost", "wait", "work")
            .WithSummary("Asks for permits: 200 admitted, 429 not now, 422 never, 503 Redis is away and the policy is Closed.")
            .Produces<AdmittedReply>();
        group.MapGet("/stats", endpoints.StatsAsync)
            .TakesQuery().WithSummary("Shows the limits, what became of this gateway's requests, and whether Redis is there.");
    }

    private async Task<Ok<AdmittedReply>> AcquireAsync(HttpContext http, string? algorithm, string? key, string? cost, string? wait, string? work)
    {
        if (!RateLimitAlgorithms.TryParse(algorithm ?? "gcra", out var wanted))
            throw new ProblemException(ProblemKind.InvalidParameter, $"Parameter 'algorithm' takes one of {s_algorithms}, not '{Text.Shorten(algorithm!)}'.");
        if (key is { Length: 0 or > MaxKeyLength })
            throw new ProblemException(ProblemKind.InvalidParameter, $"Parameter 'key' takes 1 to {MaxKeyLength} characters, not {key.Length}.");
        var permits = 1;
        if (cost is not null && (!int.TryParse(cost, NumberStyles.None, CultureInfo.InvariantCulture, out permits) || permits is < 1 or > MaxCost))
            throw new ProblemException(ProblemKind.InvalidParameter, $"Parameter 'cost' takes a whole number from 1 to {MaxCost}, not '{Text.Shorten(cost)}'.");
        var maxWait = QueryParameters.Time("wait", wait, TimeSpan.Zero, s_maxWait, TimeSpan.Zero);
        if (!SimulatedWork.TryParse(work ?? "none", out var load))
            throw new ProblemException(ProblemKind.InvalidParameter, $"Parameter 'work' takes {SimulatedWork.Accepted}, not '{Text.Shorten(work!)}'.");

        var limits = await LimitsAsync(http.RequestAborted);
        var policy = limits.PolicyOf(wanted);
        var since = _time.GetTimestamp();
        using var lease = await limits.AcquireAsync(wanted, key ?? "anyone", permits, maxWait, http.RequestAborted);
        var waited = _time.GetElapsedTime(since);
        var retryAfter = lease.GetRetryAfter(); // read once: it counts down, and the body says the same as the headers
        var headers = HeadersOf(wanted, policy, lease, retryAfter);
        if (!lease.IsAcquired) throw Refusal(wanted, key ?? "anyone", permits, policy, lease.GetDenialReason(), retryAfter, headers);
        foreach (var (name, value) in headers) http.Response.Headers[name] = value;

        await WorkAsync(load, lease, http.RequestAborted);
        return TypedResults.Ok(new AdmittedReply(wanted.ToName(), key ?? "anyone", permits,
            lease.TryGetMetadata(RateLimitMetadata.Remaining, out var remaining) ? remaining : null, waited.TotalMilliseconds, StateOf(lease)));
    }

    private async Task WorkAsync(SimulatedWork load, RateLimitLease lease, CancellationToken cancellationToken)
    {
        if (load.Kind == WorkKind.None) return;
        lease.TryGetMetadata(RateLimitMetadata.LeaseLost, out var lost);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, lost);
        try
        {
            await load.RunAsync(_time, either.Token);
        }
        catch (OperationCanceledException) when (lost.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new ProblemException(ProblemKind.BrokerUnavailable, "The lease on the permits could not be renewed, so the work was stopped: others may have them now.");
        }
    }

    private async Task<Ok<RateLimitingStats>> StatsAsync(CancellationToken cancellationToken)
    {
        var limits = await LimitsAsync(cancellationToken);
        var limit = services.GetRequiredService<IOptions<RateLimitingOptions>>().Value;
        var redis = limits as RedisRateLimiting;
        return TypedResults.Ok(new RateLimitingStats(
            Name(limits.State), redis?.Outages,
            new LimitReply(limit.Permits, limit.Period.TotalMilliseconds, limit.Burst, limit.Concurrent, limit.QueueLimit,
                redis is null ? null : services.GetRequiredService<IOptions<RedisRateLimitingOptions>>().Value.WhenDown.ToString()),
            [.. limits.GetLedgers().OrderBy(pair => pair.Key).Select(pair => new AlgorithmStats(pair.Key.ToName(),
                pair.Value.Requests, pair.Value.Admitted, pair.Value.Denied, pair.Value.Never, pair.Value.Cancelled, pair.Value.Degraded))]));
    }

    private async ValueTask<IRateLimiting> LimitsAsync(CancellationToken cancellationToken) =>
        _limits ??= await _calls.CallAsync((limits, _) => Task.FromResult(limits), cancellationToken);

    private static ProblemException Refusal(RateLimitAlgorithm algorithm, string key, int permits, RateLimitPolicy policy, DenialReason? reason, TimeSpan? retryAfter, (string, string)[] headers)
    {
        var name = Text.Shorten(key);
        return reason switch
        {
            DenialReason.NeverPossible => new(ProblemKind.CostExceedsBurst, $"A cost of {permits} can never be admitted: '{algorithm.ToName()}' gives at most {policy.Burst} at once.") { Headers = headers },
            DenialReason.Unavailable => new(ProblemKind.BrokerUnavailable, "Redis is away and cannot be asked for permits.") { RetryAfter = retryAfter, Headers = headers },
            DenialReason.Disposed => new(ProblemKind.BrokerUnavailable, "This gateway is stopping."),
            DenialReason.QueueFull => new(ProblemKind.RateLimited, $"The limit of key '{name}' is reached, and as many wait as may.") { RetryAfter = retryAfter ?? s_unknown, Headers = headers },
            _ => new(ProblemKind.RateLimited, $"The limit of key '{name}' is reached: {Describe(policy)}.") { RetryAfter = retryAfter ?? s_unknown, Headers = headers },
        };
    }

    private static string Describe(RateLimitPolicy policy) => policy.Window is { } window
        ? string.Create(CultureInfo.InvariantCulture, $"{policy.Quota} in {window.TotalMilliseconds:0.###} ms, at most {policy.Burst} at once")
        : $"{policy.Quota} at the same time";

    /// <summary>Says what draft-ietf-httpapi-ratelimit-headers-10 names; seconds are whole there and rounded up.</summary>
    private static (string, string)[] HeadersOf(RateLimitAlgorithm algorithm, RateLimitPolicy policy, RateLimitLease lease, TimeSpan? retryAfter)
    {
        var window = policy.Window is { } time ? $";w={Seconds(time)}" : "";
        var left = lease.IsAcquired && lease.TryGetMetadata(RateLimitMetadata.Remaining, out var remaining) ? remaining : 0;
        var reset = (lease.IsAcquired && lease.TryGetMetadata(RateLimitMetadata.ResetAfter, out var full) ? full : retryAfter) is { } after ? $";t={Seconds(after)}" : "";
        return [("RateLimit-Policy", $"\"{algorithm.ToName()}\";q={policy.Quota}{window}"), ("RateLimit", $"\"{algorithm.ToName()}\";r={left}{reset}")];
    }

    private static string Seconds(TimeSpan time) => Math.Max(1, (long)Math.Ceiling(time.TotalSeconds)).ToString(CultureInfo.InvariantCulture);

    private static string StateOf(RateLimitLease lease) => Name(lease.TryGetMetadata(RateLimitMetadata.DecidedBy, out var state) ? state : LimiterState.Exact);

    private static string Name(LimiterState state) => state == LimiterState.Exact ? "exact" : "degraded";
}
