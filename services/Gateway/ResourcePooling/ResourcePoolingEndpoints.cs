using System.ComponentModel;
using System.Security.Cryptography;
using System.Text;
using DistributedPatterns.Gateway.Patterns;
using DistributedPatterns.Gateway.Problems;
using DistributedPatterns.ResourcePooling.Work;
using Grpc.Core;
using Microsoft.AspNetCore.Mvc;

namespace DistributedPatterns.Gateway.ResourcePooling;

/// <summary>Maps <c>/api/resource-pooling/{variant}</c>.</summary>
internal static class ResourcePoolingEndpoints
{
    private const string TokenHeader = "X-Chaos-Token";
    private static readonly TimeSpan s_shortest = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan s_longest = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_longestLeak = TimeSpan.FromMinutes(10);

    public static void Map(RouteGroupBuilder group, string variant, IServiceProvider services)
    {
        var calls = new VariantCalls<IPooledWork>(variant, services);

        group.MapGet("", async (
                [FromQuery, Description("How long the connection is held, 0ms to 30s; 5ms unless given.")] string? hold,
                [FromQuery, Description("How long all of it may take, 1ms to 30s; 1s unless given.")] string? timeout,
                CancellationToken cancellationToken) =>
            {
                var length = QueryParameters.Time("hold", hold, TimeSpan.Zero, s_longest, TimeSpan.FromMilliseconds(5));
                var limit = QueryParameters.Time("timeout", timeout, s_shortest, s_longest, TimeSpan.FromSeconds(1));
                var work = await ResolveAsync(calls, cancellationToken);
                return TypedResults.Ok(await RunAsync(() => work.UseAsync(length, limit, cancellationToken)));
            })
            .TakesQuery("hold", "timeout")
            .WithSummary("Holds a pooled database connection: 200 used and counted, 503 none came free in time, 504 one did, but too late, 409 its permit was lost meanwhile.");

        group.MapGet("/stats", async (CancellationToken cancellationToken) =>
                TypedResults.Ok(new PoolingStats(await calls.CallAsync((work, token) => work.GetStatsAsync(token).AsTask(), cancellationToken))))
            .TakesQuery().WithSummary("Shows what is lent, open and waited for, what has become of everything, and who has not given back.");

        // Only where breaking things is the point, and only for who has this run's token.
        if (!services.GetRequiredService<IHostEnvironment>().IsDevelopment()) return;
        group.MapPost("/leak", async (
                HttpContext http, IConfiguration configuration,
                [FromQuery, Description("When it comes back after all, 1s to 10m; 30s unless given.")] string? @for,
                CancellationToken cancellationToken) =>
            {
                CheckToken(http, configuration);
                var length = QueryParameters.Time("for", @for, TimeSpan.FromSeconds(1), s_longestLeak, TimeSpan.FromSeconds(30));
                var work = await ResolveAsync(calls, cancellationToken);
                var use = await RunAsync(() => work.LeakAsync(length, cancellationToken));
                var stats = $"/api/resource-pooling/{variant}/stats";
                return TypedResults.Accepted(stats, new LeakReply(use.Process, use.Permit, length.TotalMilliseconds, stats));
            })
            .TakesQuery("for").WithSummary($"Takes a connection and forgets to give it back. Needs the run's token in the header {TokenHeader}.");
    }

    // A worker's answer as gRPC carries it.
    private static async Task<PooledUse> RunAsync(Func<ValueTask<PooledUse>> use)
    {
        try
        {
            return await use();
        }
        catch (RpcException e) when (e.StatusCode == StatusCode.Aborted)
        {
            throw new ProblemException(ProblemKind.PermitLost, e.Status.Detail, e);
        }
    }

    private static void CheckToken(HttpContext http, IConfiguration configuration)
    {
        var wanted = configuration["Chaos:Token"];
        if (string.IsNullOrEmpty(wanted)) throw new ProblemException(ProblemKind.ChaosOff, "This run has no token: start it with --Chaos:Token=... (AppHost) or Chaos__Token in the environment.");
        if (!CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(wanted), Encoding.UTF8.GetBytes(http.Request.Headers[TokenHeader].ToString())))
            throw new ProblemException(ProblemKind.ChaosOff, $"The header {TokenHeader} does not have this run's token.");
    }

    // The first use of the distributed variant may connect to Redis; the use itself has its own limit.
    private static Task<IPooledWork> ResolveAsync(VariantCalls<IPooledWork> calls, CancellationToken cancellationToken) =>
        calls.CallAsync(static (work, _) => Task.FromResult(work), cancellationToken);
}
