using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;

namespace DistributedPatterns.Tests.Soak;

/// <summary>Clients that submit jobs over HTTP, insist until each is accepted, and wait for each one's end.</summary>
internal sealed class SoakLoad(Func<HttpClient> connect, SoakOptions options)
{
    private const int Clients = 64;

    private readonly SoakJobs _jobs = new();
    private int _next;
    private int _accepted;

    /// <summary>Gets the jobs that the gateway answered with 202, each id once.</summary>
    public int Accepted => Volatile.Read(ref _accepted);

    private int _done;

    public int Done => Volatile.Read(ref _done);

    private int _dead;

    public int Dead => Volatile.Read(ref _dead);

    private int _retries;

    /// <summary>Gets the requests that failed or were refused and were sent again.</summary>
    public int Retries => Volatile.Read(ref _retries);

    /// <summary>Gets what must not happen: a job lost, a result wrong, an answer that is no answer.</summary>
    public List<string> Faults { get; } = [];

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var clock = Stopwatch.StartNew();
        await Task.WhenAll(Enumerable.Range(0, Clients).Select(_ => Task.Run(() => ClientAsync(clock, cancellationToken), cancellationToken)));
    }

    private async Task ClientAsync(Stopwatch clock, CancellationToken cancellationToken)
    {
        using var http = connect();
        while (Interlocked.Increment(ref _next) is var number && number <= options.Jobs)
        {
            var due = options.Length * 0.9 * number / options.Jobs;
            if (due > clock.Elapsed) await Task.Delay(due - clock.Elapsed, TimeProvider.System, cancellationToken);
            await JobAsync(http, number, cancellationToken);
        }
    }

    private async Task JobAsync(HttpClient http, int number, CancellationToken cancellationToken)
    {
        // A job has a seed of its own: which client draws it is a race.
        var (body, isRight) = _jobs.Draw(new Random(HashCode.Combine(options.Seed, number)));
        var accepted = await InsistAsync(
            () =>
            {
                var request = new HttpRequestMessage(HttpMethod.Post, "/api/worker-pool/distributed/jobs") { Content = JsonContent.Create(body) };
                request.Headers.Add("Idempotency-Key", $"soak-{options.Seed}-{number}");
                return request;
            }, http, HttpStatusCode.Accepted, cancellationToken);
        if (accepted is not { } reply) return;
        Interlocked.Increment(ref _accepted);
        var id = reply.GetProperty("id").GetString()!;
        while (true)
        {
            var read = await InsistAsync(
                () => new HttpRequestMessage(HttpMethod.Get, $"/api/worker-pool/distributed/jobs/{id}?wait=10s"), http, HttpStatusCode.OK, cancellationToken);
            if (read is not { } status) return;
            switch (status.GetProperty("state").GetString())
            {
                case "Queued" or "Running":
                    continue;
                case "Done":
                    Interlocked.Increment(ref _done);
                    if (!isRight(status.GetProperty("result"))) Report($"job {id} has a wrong result: {status}");
                    return;
                case "Dead":
                    Interlocked.Increment(ref _dead);
                    return;
                default:
                    Report($"job {id} ended otherwise: {status}");
                    return;
            }
        }
    }

    /// <summary>Sends until the answer comes; refusals for a moment and connections that break are part of the soak, other answers are not.</summary>
    private async Task<JsonElement?> InsistAsync(Func<HttpRequestMessage> request, HttpClient http, HttpStatusCode wanted, CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                using var message = request();
                using var response = await http.SendAsync(message, cancellationToken);
                if (response.StatusCode == wanted) return await response.Content.ReadFromJsonAsync<JsonElement>(cancellationToken);
                if (response.StatusCode != HttpStatusCode.ServiceUnavailable)
                {
                    Report($"{message.Method} {message.RequestUri} was answered {(int)response.StatusCode}: {await response.Content.ReadAsStringAsync(cancellationToken)}");
                    return null;
                }
            }
            catch (Exception e) when (e is HttpRequestException or IOException && !cancellationToken.IsCancellationRequested)
            {
                // The gateway died under the request, or is not back yet.
            }
            Interlocked.Increment(ref _retries);
            await Task.Delay(TimeSpan.FromMilliseconds(250), TimeProvider.System, cancellationToken);
        }
    }

    private void Report(string fault)
    {
        lock (Faults) Faults.Add(fault);
    }
}
