using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;

namespace DistributedPatterns.Tests.Faults;

/// <summary>An HTTP client that asks until it is answered.</summary>
/// <remarks>A connection may break and the gateway may say that it cannot just now, in the way it promises. Anything else, and an answer that does not come, fails the test.</remarks>
internal sealed class PatientClient : IDisposable
{
    private readonly HttpClient _http;
    private int _retries;

    public PatientClient(RunningSystem system)
    {
        _http = system.App.CreateHttpClient("gateway", "http");
        _http.Timeout = TimeSpan.FromSeconds(40); // above every wait and deadline that the tests ask for: what takes longer hangs
    }

    /// <summary>Gets how many requests were broken off or refused, and sent again.</summary>
    public int Retries => Volatile.Read(ref _retries);

    public async Task<JsonElement> GetAsync(string path, CancellationToken cancellationToken) =>
        (await SendAsync(HttpMethod.Get, path, null, null, [HttpStatusCode.OK], cancellationToken)).Body;

    public async Task<(HttpStatusCode Status, JsonElement Body)> SendAsync(
        HttpMethod method, string path, object? body, string? key, HttpStatusCode[] wanted, CancellationToken cancellationToken, int? budgetMs = null)
    {
        while (true)
        {
            try
            {
                using var request = new HttpRequestMessage(method, path) { Content = body is null ? null : JsonContent.Create(body) };
                if (key is not null) request.Headers.Add("Idempotency-Key", key);
                if (budgetMs is { } budget) request.Headers.Add("Request-Timeout-Ms", budget.ToString(CultureInfo.InvariantCulture));
                using var response = await _http.SendAsync(request, cancellationToken);
                var text = await response.Content.ReadAsStringAsync(cancellationToken);
                if (wanted.Contains(response.StatusCode)) return (response.StatusCode, text.Length == 0 ? default : JsonElement.Parse(text));
                AssertIsClear(response, $"{method} {path}: {(int)response.StatusCode} {text}");
            }
            catch (Exception e) when (e is HttpRequestException or IOException)
            {
                // The gateway died under the request, or is not back yet.
            }
            Interlocked.Increment(ref _retries);
            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, cancellationToken);
        }
    }

    public void Dispose() => _http.Dispose();

    private static void AssertIsClear(HttpResponseMessage response, string what)
    {
        Assert.True(response.StatusCode is HttpStatusCode.BadGateway or HttpStatusCode.ServiceUnavailable or HttpStatusCode.GatewayTimeout, what);
        Assert.True(response.Content.Headers.ContentType?.MediaType == "application/problem+json", what);
        if (response.StatusCode == HttpStatusCode.ServiceUnavailable) Assert.True(response.Headers.RetryAfter?.Delta > TimeSpan.Zero, what);
    }
}
