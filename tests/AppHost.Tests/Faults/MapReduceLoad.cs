using System.Net;

namespace DistributedPatterns.Tests.Faults;

/// <summary>Jobs over a sample whose result is known: each has to give the same bytes, whoever dies meanwhile.</summary>
internal sealed class MapReduceLoad(PatientClient client) : PatternLoad(client)
{
    private const string Jobs = "/api/map-reduce/distributed/jobs";
    private const int Records = 34_924;

    private static readonly object s_job = new { job = "field-count", input = "UnicodeData.txt", splitBytes = 20_000, mappers = 4 };

    private string? _hash;

    public override async Task RunAsync(Task over, CancellationToken cancellationToken)
    {
        while (Done == 0 || !over.IsCompleted)
        {
            var (_, started) = await Client.SendAsync(HttpMethod.Post, Jobs, s_job, null, [HttpStatusCode.Accepted], cancellationToken);
            var status = started;
            do
            {
                status = await Client.GetAsync($"{Jobs}/{started.GetProperty("id")}?wait=1s", cancellationToken);
                if (status.GetProperty("maps").GetProperty("done").GetInt32() > 0) Count();
            }
            while (status.GetProperty("state").GetString() is "Waiting" or "Mapping" or "Reducing");
            Assert.True(status.GetProperty("state").GetString() == "Completed", status.GetRawText());
            var report = status.GetProperty("report");
            Assert.True((report.GetProperty("records").GetInt32(), report.GetProperty("emitted").GetInt32()) == (Records, Records), status.GetRawText());
            Assert.Equal(_hash ??= report.GetProperty("sha256").GetString(), report.GetProperty("sha256").GetString());
        }
    }

    public override async Task CheckAsync(string fault, CancellationToken cancellationToken)
    {
        var (_, started) = await Client.SendAsync(HttpMethod.Post, "/api/map-reduce/channel/jobs", s_job, null, [HttpStatusCode.Accepted], cancellationToken);
        var status = await Client.GetAsync($"/api/map-reduce/channel/jobs/{started.GetProperty("id")}?wait=30s", cancellationToken);
        Assert.Equal(status.GetProperty("report").GetProperty("sha256").GetString(), _hash);
    }
}
