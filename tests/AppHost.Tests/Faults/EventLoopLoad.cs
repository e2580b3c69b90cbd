using System.Globalization;
using System.Net;
using System.Text.Json;

namespace DistributedPatterns.Tests.Faults;

/// <summary>Posts lines to keys, each post until it is accepted, and checks that every line counts once and in order; watches that no epoch has two owners or goes back.</summary>
/// <param name="pauseMilliseconds">How long a poster waits from one post to the next.</param>
internal sealed class EventLoopLoad(PatientClient client, int pauseMilliseconds = 50) : PatternLoad(client)
{
    private const string Loop = "/api/event-loop/distributed";
    private const int Keys = 16;

    private readonly string _name = Guid.NewGuid().ToString("N");
    private readonly (int Lines, ulong Checksum)[] _expected = [.. Enumerable.Repeat((0, 14_695_981_039_346_656_037ul), Keys)];
    private readonly Dictionary<int, (long Epoch, string? Owner)> _seen = [];

    /// <summary>Gets how often a partition was seen under a new epoch.</summary>
    public int Takeovers { get; private set; }

    public override async Task RunAsync(Task over, CancellationToken cancellationToken)
    {
        var posting = Clients(Keys, key => PostAsync(key, over, cancellationToken));
        while (!posting.IsCompleted)
        {
            await WatchAsync(cancellationToken);
            await PauseAsync(2 * pauseMilliseconds, cancellationToken);
        }
        await posting;
    }

    public override async Task CheckAsync(string fault, CancellationToken cancellationToken)
    {
        for (var key = 0; key < Keys; key++)
        {
            JsonElement state;
            do state = await Client.GetAsync($"{Loop}/keys/{_name}-{key}", cancellationToken);
            while (state.GetProperty("applied").GetInt32() < _expected[key].Lines);
            var kept = state.GetProperty("state");
            Assert.Equal(
                (_expected[key].Lines, _expected[key].Checksum.ToString("x16", CultureInfo.InvariantCulture)), (kept.GetProperty("lines").GetInt32(), kept.GetProperty("checksum").GetString()));
        }
        var stats = await Client.GetAsync($"{Loop}/stats", cancellationToken);
        Assert.True(stats.GetProperty("ledger").GetProperty("addsUp").GetBoolean(), stats.GetRawText());
        Assert.Equal(0, stats.GetProperty("ledger").GetProperty("dead").GetInt32());
    }

    private async Task PostAsync(int key, Task over, CancellationToken cancellationToken)
    {
        for (var number = 0; number < 20 || !over.IsCompleted; number++)
        {
            string[] lines = [$"{number} of {key}", $"{number} again"];
            await Client.SendAsync(
                HttpMethod.Post, $"{Loop}/keys/{_name}-{key}/events", new { events = lines.Select(line => new { handler = "tally", body = new { line } }) },
                $"{_name}-{key}-{number}", [HttpStatusCode.Accepted], cancellationToken);
            foreach (var line in lines)
            {
                var (count, checksum) = _expected[key];
                foreach (var c in line) checksum = (checksum ^ c) * 1_099_511_628_211;
                _expected[key] = (count + 1, checksum);
            }
            Count();
            await PauseAsync(pauseMilliseconds, cancellationToken);
        }
    }

    private async Task WatchAsync(CancellationToken cancellationToken)
    {
        foreach (var one in (await Client.GetAsync($"{Loop}/partitions", cancellationToken)).EnumerateArray())
        {
            var partition = one.GetProperty("partition").GetInt32();
            var now = (Epoch: one.GetProperty("epoch").GetInt64(), Owner: one.TryGetProperty("owner", out var owner) ? owner.GetString() : null);
            if (_seen.TryGetValue(partition, out var last))
            {
                Assert.True(now.Epoch >= last.Epoch, $"The epoch of partition {partition} went back from {last.Epoch}: {one.GetRawText()}");
                if (now.Epoch == last.Epoch && last.Owner is not null) Assert.True(now.Owner is null || now.Owner == last.Owner, $"Epoch {now.Epoch} of partition {partition} was {last.Owner}'s: {one.GetRawText()}");
                if (now.Epoch > last.Epoch) Takeovers++;
            }
            _seen[partition] = (now.Epoch, now.Owner ?? (now.Epoch == last.Epoch ? last.Owner : null));
        }
    }
}
