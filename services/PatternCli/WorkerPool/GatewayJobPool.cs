using System.Net;
using System.Net.Http.Json;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.WorkerPool;

namespace DistributedPatterns.PatternCli.WorkerPool;

/// <summary>The pool across processes, through the gateway.</summary>
internal sealed class GatewayJobPool(Uri gateway) : IJobPool
{
    private const string Pool = $"/api/worker-pool/{Variants.Distributed}";
    private const int MaxRefusals = 30;

    private readonly GatewayClient _client = new(gateway);

    public string Where => $"across processes, through {_client.Gateway}";

    public async Task<JobStatus> RunAsync(string job, FilePart part, CancellationToken cancellationToken)
    {
        var path = await SubmitAsync(job, part);
        for (var isCancelled = false; ;)
        {
            if (cancellationToken.IsCancellationRequested && !isCancelled)
            {
                isCancelled = true;
                using var _ = await _client.SendAsync(HttpMethod.Delete, path); // 409: it ended meanwhile
            }
            using var response = await _client.SendAsync(HttpMethod.Get, $"{path}?wait=1s");
            await _client.CheckAsync(response);
            var status = (await response.Content.ReadFromJsonAsync(WorkerPoolCliJson.Default.JobStatus, CancellationToken.None))!;
            if (status.HasEnded) return status;
        }
    }

    public async Task<WorkerPoolSnapshot> ReadAsync()
    {
        using var response = await _client.SendAsync(HttpMethod.Get, $"{Pool}/stats");
        await _client.CheckAsync(response);
        return (await response.Content.ReadFromJsonAsync(WorkerPoolCliJson.Default.WorkerPoolSnapshot))!;
    }

    public ValueTask DisposeAsync()
    {
        _client.Dispose();
        return default;
    }

    private async Task<string> SubmitAsync(string job, FilePart part)
    {
        // One key for all tries: a submit whose reply got lost does not run the job twice.
        var key = Guid.NewGuid().ToString("N");
        for (var refusals = 0; ; refusals++)
        {
            using var body = JsonContent.Create(new SubmittedJob(job, part), WorkerPoolCliJson.Default.SubmittedJob);
            using var response = await _client.SendAsync(HttpMethod.Post, $"{Pool}/jobs", body, ("Idempotency-Key", key));
            if (response.StatusCode == HttpStatusCode.ServiceUnavailable && refusals < MaxRefusals && response.Headers.RetryAfter?.Delta is { } wait)
            {
                await Task.Delay(wait, TimeProvider.System);
                continue;
            }
            await _client.CheckAsync(response);
            return response.Headers.Location?.ToString() ?? throw _client.NoGateway("it gave no Location");
        }
    }
}
