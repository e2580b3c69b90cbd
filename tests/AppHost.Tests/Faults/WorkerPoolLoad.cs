using System.Net;
using System.Text.Json;
using DistributedPatterns.Tests.Soak;

namespace DistributedPatterns.Tests.Faults;

/// <summary>Clients submit jobs with a key until each is accepted, wait for its end and check its result.</summary>
internal sealed class WorkerPoolLoad(PatientClient client) : PatternLoad(client)
{
    private const string Pool = "/api/worker-pool/distributed";
    private const int Submitters = 8;

    private readonly SoakJobs _jobs = new();
    private readonly string _name = Guid.NewGuid().ToString("N");
    private JsonElement _before;

    public override async Task RunAsync(Task over, CancellationToken cancellationToken)
    {
        _before = await LedgerAsync(cancellationToken);
        await Clients(Submitters, async submitter =>
        {
            for (var number = 0; number < 20 || !over.IsCompleted; number++) await JobAsync($"{_name}-{submitter}-{number}", cancellationToken);
        });
    }

    public override async Task CheckAsync(string fault, CancellationToken cancellationToken)
    {
        var ledger = await LedgerAsync(cancellationToken);
        Assert.Equal((Done, Done), (Since("submitted"), Since("done")));
        Assert.All((string[])["failed", "cancelled", "dead", "queued", "running"], name => Assert.Equal(0, Since(name)));

        int Since(string name) => ledger.GetProperty(name).GetInt32() - _before.GetProperty(name).GetInt32();
    }

    private async Task JobAsync(string key, CancellationToken cancellationToken)
    {
        var (body, isRight) = _jobs.Draw(Random.Shared);
        var (_, accepted) = await Client.SendAsync(HttpMethod.Post, $"{Pool}/jobs", body, key, [HttpStatusCode.Accepted], cancellationToken);
        JsonElement status;
        do status = await Client.GetAsync($"{Pool}/jobs/{accepted.GetProperty("id")}?wait=5s", cancellationToken);
        while (status.GetProperty("state").GetString() is "Queued" or "Running");
        Assert.True(status.GetProperty("state").GetString() == "Done" && isRight(status.GetProperty("result")), status.GetRawText());
        Count();
    }

    private async Task<JsonElement> LedgerAsync(CancellationToken cancellationToken) =>
        (await Client.GetAsync($"{Pool}/stats", cancellationToken)).GetProperty("ledger");
}
