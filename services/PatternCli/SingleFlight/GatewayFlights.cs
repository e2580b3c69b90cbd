using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Serialization;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Scenarios;

namespace DistributedPatterns.PatternCli.SingleFlight;

/// <summary>Flights over all gateways, asked for through one.</summary>
internal sealed class GatewayFlights(Uri gateway) : IFlights
{
    private const string Route = $"/api/single-flight/{Variants.Distributed}";

    private readonly GatewayClient _client = new(gateway);

    public Task<FlightAnswer> RunAsync(string key, SimulatedWork work, TimeSpan ttl, TimeSpan timeout, bool fails) => AskAsync(string.Create(
        CultureInfo.InvariantCulture,
        $"{Route}/keys/{key}?work={work}&ttl={ttl.TotalMilliseconds:0}ms&timeout={timeout.TotalMilliseconds:0}ms&outcome={(fails ? "error" : "ok")}"));

    public Task<FlightAnswer> DigestAsync(string input) => AskAsync($"{Route}/digest?input={Uri.EscapeDataString(input)}");

    public async Task ForgetAsync(string key)
    {
        using var response = await _client.SendAsync(HttpMethod.Delete, $"{Route}/keys/{key}");
        await _client.CheckAsync(response);
    }

    public ValueTask DisposeAsync()
    {
        _client.Dispose();
        return default;
    }

    private async Task<FlightAnswer> AskAsync(string path)
    {
        using var response = await _client.SendAsync(HttpMethod.Get, path);
        if (response.StatusCode == HttpStatusCode.GatewayTimeout) return new FlightAnswer("late", "");
        if (response.StatusCode == HttpStatusCode.BadGateway)
            return new FlightAnswer("failed", (await response.Content.ReadFromJsonAsync(GatewayClientJson.Default.Problem))?.Detail ?? "");
        await _client.CheckAsync(response);
        var reply = await response.Content.ReadFromJsonAsync(FlightsCliJson.Default.GatewayFlight) ?? throw _client.NoGateway("it gave no result");
        return new FlightAnswer(response.Headers.GetValues("X-Flight").Single(), reply.Run ?? reply.Sha256 ?? "");
    }
}

/// <summary>What a gateway says of a run or a digest.</summary>
internal sealed record GatewayFlight(string? Run, string? Sha256);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(GatewayFlight))]
internal sealed partial class FlightsCliJson : JsonSerializerContext;
