using System.Net;
using System.Net.Http.Json;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.EventLoop;

namespace DistributedPatterns.PatternCli.EventLoop;

/// <summary>The event loop in the workers, through the gateway.</summary>
internal sealed class GatewayLoop(Uri gateway) : IKeyedLoop
{
    private const string Path = $"/api/event-loop/{Variants.Distributed}";

    private readonly GatewayClient _client = new(gateway);

    public string Where => $"across processes, through {_client.Gateway}";

    public async Task PostAsync(string key, IReadOnlyList<LoopEvent> events)
    {
        var id = Guid.NewGuid().ToString("N"); // the same for every try: an answer may get lost
        while (true)
        {
            using var response = await _client.SendAsync(
                HttpMethod.Post, $"{Path}/keys/{key}/events", JsonContent.Create(new EventsToPost(events), EventLoopCliJson.Default.EventsToPost), ("Idempotency-Key", id));
            if (response.StatusCode != HttpStatusCode.ServiceUnavailable)
            {
                await _client.CheckAsync(response);
                return;
            }
            await Task.Delay(response.Headers.RetryAfter?.Delta ?? TimeSpan.FromSeconds(1), TimeProvider.System);
        }
    }

    public async Task<KeyState?> ReadAsync(string key)
    {
        using var response = await _client.SendAsync(HttpMethod.Get, $"{Path}/keys/{key}");
        if (response.StatusCode == HttpStatusCode.NotFound) return null;
        await _client.CheckAsync(response);
        return await response.Content.ReadFromJsonAsync(EventLoopCliJson.Default.KeyState);
    }

    public async Task<IReadOnlyList<PartitionStatus>> ReadPartitionsAsync()
    {
        using var response = await _client.SendAsync(HttpMethod.Get, $"{Path}/partitions");
        await _client.CheckAsync(response);
        return await response.Content.ReadFromJsonAsync(EventLoopCliJson.Default.IReadOnlyListPartitionStatus) ?? throw _client.NoGateway("it gave no partitions");
    }

    public ValueTask DisposeAsync()
    {
        _client.Dispose();
        return default;
    }
}
