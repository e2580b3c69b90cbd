using System.ComponentModel;
using DistributedPatterns.Gateway.Patterns;
using DistributedPatterns.Gateway.Problems;
using DistributedPatterns.MapReduce;
using DistributedPatterns.Scenarios;
using DistributedPatterns.SingleFlight;
using DistributedPatterns.SingleFlight.Works;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;

namespace DistributedPatterns.Gateway.SingleFlight;

/// <summary>Maps <c>/api/single-flight/{variant}</c>.</summary>
internal sealed class SingleFlightEndpoints(string variant, IServiceProvider services)
{
    public const string Header = "X-Flight";

    private const int MaxKeyLength = 200;

    private static readonly TimeSpan s_maxTtl = TimeSpan.FromHours(1);
    private static readonly TimeSpan s_maxTimeout = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan s_timeout = TimeSpan.FromSeconds(30);

    private readonly VariantCalls<ISingleFlight> _calls = new(variant, services);
    private readonly MapReduceInputs _inputs = services.GetRequiredService<MapReduceInputs>();
    private ISingleFlight? _flights;

    private enum Outcome
    {
        Ok,
        Error,
    }

    public static void Map(RouteGroupBuilder group, string variant, IServiceProvider services)
    {
        var endpoints = new SingleFlightEndpoints(variant, services);
        group.MapGet("/keys/{key}", (
                HttpContext http,
                [Description("What makes two requests the same, up to 200 characters.")] string key,
                [FromQuery, Description("What the run does, if this request starts it: " + SimulatedWork.Accepted + ".")] string? work,
                [FromQuery, Description("How long the result is kept, 0 or up to 60m; 0 unless given.")] string? ttl,
                [FromQuery, Description("How long this request waits at most, 1ms to 60s; 30s unless given.")] string? timeout,
                [FromQuery, Description("ok or error: whether the run fails in the end.")] string? outcome) =>
                endpoints.RunAsync(http, key, work, ttl, timeout, outcome))
            .TakesQuery("work", "ttl", "timeout", "outcome").WithSummary("Runs work once for all who ask with this key meanwhile; X-Flight says led, joined or cached.");
        group.MapDelete("/keys/{key}", endpoints.ForgetAsync)
            .TakesQuery().WithSummary("Drops what is kept for a key; the next request starts a run of its own.");
        group.MapGet("/digest", (
                HttpContext http,
                [FromQuery, Description("The input's name, such as us-constitution.txt.")] string? input,
                [FromQuery, Description("How long the result is kept, 0 or up to 60m; 0 unless given.")] string? ttl,
                [FromQuery, Description("How long this request waits at most, 1ms to 60s; 30s unless given.")] string? timeout) =>
                endpoints.DigestAsync(http, input, ttl, timeout))
            .TakesQuery("input", "ttl", "timeout").WithSummary("Returns the SHA-256 of an input's file, which is read once for all who ask meanwhile.");
        group.MapGet("/stats", async (CancellationToken cancellationToken) => TypedResults.Ok((await endpoints.FlightsAsync(cancellationToken)).GetLedger()))
            .TakesQuery().WithSummary("Shows what became of this gateway's requests, and of the runs that it led.");
    }

    public static string NameOf(FlightRole role) => role switch
    {
        FlightRole.Led => "led",
        FlightRole.Joined => "joined",
        _ => "cached",
    };

    private async Task<Ok<FlightReply>> RunAsync(HttpContext http, string key, string? work, string? ttl, string? timeout, string? outcome)
    {
        CheckKey(key);
        if (!SimulatedWork.TryParse(work ?? "none", out var load))
            throw new ProblemException(ProblemKind.InvalidParameter, $"Parameter 'work' takes {SimulatedWork.Accepted}, not '{Text.Shorten(work!)}'.");
        var request = new SimulatedRequest(load, QueryParameters.Choice("outcome", outcome, Outcome.Ok) == Outcome.Error);
        var call = Call(ttl, timeout);
        var flights = await FlightsAsync(http.RequestAborted);
        var result = await flights.RunAsync<SimulatedRequest, SimulatedAnswer>(SimulatedFlight.Name, key, request, call, http.RequestAborted);
        http.Response.Headers[Header] = NameOf(result.Role);
        return TypedResults.Ok(new FlightReply(key, result.Value.Run, result.Value.Process, result.IsShared, result.Fence));
    }

    private async Task<NoContent> ForgetAsync(string key, CancellationToken cancellationToken)
    {
        CheckKey(key);
        await _calls.CallAsync(async (flights, token) =>
        {
            await flights.ForgetAsync(SimulatedFlight.Name, key, token);
            return true;
        }, cancellationToken);
        return TypedResults.NoContent();
    }

    private async Task<Ok<FileDigestReply>> DigestAsync(HttpContext http, string? input, string? ttl, string? timeout)
    {
        if (string.IsNullOrEmpty(input)) throw new ProblemException(ProblemKind.InvalidParameter, "Parameter 'input' takes the name of an input, such as us-constitution.txt.");
        var call = Call(ttl, timeout);
        var key = FileDigest.KeyOf(_inputs, input);
        var flights = await FlightsAsync(http.RequestAborted);
        var result = await flights.RunAsync<string, DigestReply>(FileDigest.Name, key, input, call, http.RequestAborted);
        http.Response.Headers[Header] = NameOf(result.Role);
        return TypedResults.Ok(new FileDigestReply(result.Value.Input, result.Value.Bytes, result.Value.Sha256, result.IsShared, result.Fence));
    }

    private static FlightCall Call(string? ttl, string? timeout) => new()
    {
        Ttl = ttl == "0" ? TimeSpan.Zero : QueryParameters.Time("ttl", ttl, TimeSpan.Zero, s_maxTtl, TimeSpan.Zero),
        WaitLimit = QueryParameters.Time("timeout", timeout, TimeSpan.FromMilliseconds(1), s_maxTimeout, s_timeout),
    };

    private static void CheckKey(string key)
    {
        if (key.Length > MaxKeyLength) throw new ProblemException(ProblemKind.InvalidParameter, $"A key has 1 to {MaxKeyLength} characters, not {key.Length}.");
    }

    // The first use of the distributed variant connects to Redis; a flight has its own limit.
    private async ValueTask<ISingleFlight> FlightsAsync(CancellationToken cancellationToken) =>
        _flights ??= await _calls.CallAsync(static (flights, _) => Task.FromResult(flights), cancellationToken);
}
