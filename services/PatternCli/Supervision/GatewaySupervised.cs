using System.Net;
using System.Net.Http.Json;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Supervision;

namespace DistributedPatterns.PatternCli.Supervision;

/// <summary>Supervised children in the workers, through the gateway.</summary>
internal sealed class GatewaySupervised(Uri gateway) : ISupervised
{
    private const string Path = $"/api/supervision/{Variants.Distributed}";

    private readonly GatewayClient _client = new(gateway);

    public string Where => $"across processes, through {_client.Gateway}";

    public async Task<SupervisionTree> ReadAsync()
    {
        using var response = await _client.SendAsync(HttpMethod.Get, $"{Path}/tree");
        await _client.CheckAsync(response);
        return await response.Content.ReadFromJsonAsync(SupervisionCliJson.Default.SupervisionTree) ?? throw _client.NoGateway("it gave no tree");
    }

    public async Task<bool> SignalAsync(string child, ChildSignal signal)
    {
        using var response = await _client.SendAsync(HttpMethod.Post, $"{Path}/children/{child}/{signal.ToString().ToLowerInvariant()}");
        if (response.StatusCode == HttpStatusCode.Conflict) return false;
        await _client.CheckAsync(response);
        return true;
    }

    public async Task ResetAsync()
    {
        using var response = await _client.SendAsync(HttpMethod.Post, $"{Path}/reset");
        await _client.CheckAsync(response);
    }

    public ValueTask DisposeAsync()
    {
        _client.Dispose();
        return default;
    }
}
