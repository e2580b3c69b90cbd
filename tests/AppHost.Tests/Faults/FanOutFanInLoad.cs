namespace DistributedPatterns.Tests.Faults;

/// <summary>Gatherings one after the other, each of which must be complete: numbered items, and parts of a file.</summary>
internal sealed class FanOutFanInLoad(PatientClient client) : PatternLoad(client)
{
    private const string Scatter = "/api/fan-out-fan-in/distributed";
    private const int Items = 300;
    private const int LettersOther = 17_273; // grep -c '^[^;]*;[^;]*;Lo;' services/Producer/inputs/UnicodeData.txt

    public override async Task RunAsync(Task over, CancellationToken cancellationToken)
    {
        while (Done < 3 || !over.IsCompleted)
        {
            var work = await Client.GetAsync($"{Scatter}?n={Items}&work=io:20ms&deadline=30s", cancellationToken);
            var summary = work.GetProperty("summary");
            Assert.Equal(Items * (Items - 1) / 2, work.GetProperty("checksum").GetInt32());
            Assert.Equal((Items, Items, 0, 0), (Of("asked"), Of("done"), Of("failed"), Of("missing")));
            Assert.Equal(Items, summary.GetProperty("workers").EnumerateArray().Sum(worker => worker.GetProperty("answered").GetInt32()));

            var scan = await Client.GetAsync($"{Scatter}/scan?input=unicode-data&find=Lo&parts=64&deadline=30s", cancellationToken);
            Assert.Equal(LettersOther, scan.GetProperty("matches").GetInt32());
            Count();

            int Of(string name) => summary.GetProperty(name).GetInt32();
        }
    }

    public override async Task CheckAsync(string fault, CancellationToken cancellationToken)
    {
        var stats = await Client.GetAsync($"{Scatter}/stats", cancellationToken);
        Assert.Equal(0, Of("open"));
        Assert.Equal(Of("asked"), Of("done") + Of("failed") + Of("missing"));

        long Of(string name) => stats.GetProperty(name).GetInt64();
    }
}
