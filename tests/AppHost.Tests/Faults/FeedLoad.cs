using System.Net;

namespace DistributedPatterns.Tests.Faults;

/// <summary>Runs that the producer service produces and workers consume, each of which must come out whole.</summary>
internal sealed class FeedLoad(PatientClient client) : PatternLoad(client)
{
    private const string Runs = "/api/producer-consumer/distributed/runs";
    private const int Records = 600;
    private const int PerSecond = 150; // some seconds, so that the fault comes in the middle of it

    public override async Task RunAsync(Task over, CancellationToken cancellationToken)
    {
        while (Done == 0 || !over.IsCompleted)
        {
            var (_, started) = await Client.SendAsync(HttpMethod.Post, $"{Runs}?count={Records}&rate={PerSecond}", null, null, [HttpStatusCode.Accepted], cancellationToken);
            var status = started;
            do
            {
                status = await Client.GetAsync($"{Runs}/{started.GetProperty("id")}?wait=1s", cancellationToken);
                if (status.GetProperty("consumed").GetInt32() > 0) Count();
            }
            while (status.GetProperty("state").GetString() is "Waiting" or "Producing" or "Draining");
            Assert.True((status.GetProperty("state").GetString(), status.GetProperty("produced").GetInt32(), status.GetProperty("consumed").GetInt32()) == ("Done", Records, Records), status.GetRawText());
        }
    }

    // Every run is checked at its end.
    public override Task CheckAsync(string fault, CancellationToken cancellationToken) => Task.CompletedTask;
}
