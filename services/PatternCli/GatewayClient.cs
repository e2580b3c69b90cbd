using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json.Serialization;

namespace DistributedPatterns.PatternCli;

/// <summary>Calls the gateway, and says in words of its own when that is not there or refuses.</summary>
internal sealed class GatewayClient(Uri gateway) : IDisposable
{
    private static readonly TimeSpan s_connectLimit = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan s_permissionLimit = TimeSpan.FromSeconds(10); // to send a file; a busy gateway takes its time

    // A stream of events lasts as long as what it tells of, so only connecting has a limit.
    private readonly HttpClient _http = new(new SocketsHttpHandler { ConnectTimeout = s_connectLimit, Expect100ContinueTimeout = s_permissionLimit })
    {
        BaseAddress = gateway,
        Timeout = Timeout.InfiniteTimeSpan,
    };

    public Uri Gateway => gateway;

    /// <summary>Sends a request and returns once the reply's head is there.</summary>
    /// <exception cref="RunUnavailableException">Nobody answers, or what answers is no gateway of this system.</exception>
    public async Task<HttpResponseMessage> SendAsync(HttpMethod method, string path, HttpContent? body = null, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(method, new Uri(path, UriKind.Relative)) { Content = body };
        foreach (var (name, value) in headers) request.Headers.Add(name, value);
        // A gateway that refuses a file by its length closes the connection: ask before sending, or its answer is lost.
        if (body is StreamContent) request.Headers.ExpectContinue = true;
        try
        {
            var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
            if (response.IsSuccessStatusCode || response.Content.Headers.ContentType?.MediaType == "application/problem+json") return response;
            response.Dispose();
            throw NoGateway($"it answers {(int)response.StatusCode}");
        }
        catch (Exception error) when (error is HttpRequestException or OperationCanceledException)
        {
            throw Unreachable(error);
        }
    }

    /// <summary>Throws what a refusal says.</summary>
    public async Task CheckAsync(HttpResponseMessage response)
    {
        if (response.IsSuccessStatusCode) return;
        var problem = await response.Content.ReadFromJsonAsync(GatewayClientJson.Default.Problem);
        throw new RunUnavailableException(
            $"The gateway at {gateway} refuses ({((int)response.StatusCode).ToString(CultureInfo.InvariantCulture)}): {problem?.Title}. {problem?.Detail}");
    }

    public RunUnavailableException Unreachable(Exception error) => new(
        $"No gateway answers at {gateway}: {error.Message}{Environment.NewLine}Start the system with 'dotnet run --project AppHost', or say where it is with --gateway.", error);

    public RunUnavailableException NoGateway(string why) => new(
        $"What answers at {gateway} is no gateway of this system: {why}. Say where it is with --gateway.");

    public void Dispose() => _http.Dispose();
}

/// <summary>What the gateway says when it refuses.</summary>
internal sealed record Problem(string? Title, string? Detail);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(Problem))]
internal sealed partial class GatewayClientJson : JsonSerializerContext;
