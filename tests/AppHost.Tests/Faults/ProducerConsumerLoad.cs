using System.Collections.Concurrent;
using System.Net;
using System.Text.Json;

namespace DistributedPatterns.Tests.Faults;

/// <summary>Producers hand items in until each is accepted, consumers take and acknowledge them.</summary>
internal sealed class ProducerConsumerLoad(PatientClient client) : PatternLoad(client)
{
    private const string Queue = "/api/producer-consumer/distributed";
    private const int Workers = 4; // of each kind

    private readonly string _name = Guid.NewGuid().ToString("N");
    private readonly ConcurrentDictionary<string, int> _seen = [];
    private readonly ConcurrentDictionary<string, int> _acknowledged = [];
    private JsonElement _before;
    private int _handedIn;

    public override async Task RunAsync(Task over, CancellationToken cancellationToken)
    {
        _before = await StatsAsync(cancellationToken);
        var producing = Clients(Workers, producer => ProduceAsync(producer, over, cancellationToken));
        var consuming = Clients(Workers, _ => ConsumeAsync(producing, cancellationToken));
        await Task.WhenAll(producing, consuming);
    }

    public override async Task CheckAsync(string fault, CancellationToken cancellationToken)
    {
        var ledger = await StatsAsync(cancellationToken);
        Assert.True(ledger.GetProperty("balances").GetBoolean(), ledger.GetRawText());
        Assert.True((Since("in"), Since("done")) == (_handedIn, _handedIn), $"{_handedIn} items were handed in. {_before} became {ledger}");
        Assert.All((string[])["ready", "delayed", "leased", "dead", "dropped", "cancelled"], name => Assert.Equal(0, Since(name)));
        Assert.Equal(_handedIn, _seen.Count);
        Assert.All(_acknowledged.Values, times => Assert.Equal(1, times));

        int Since(string name) => ledger.GetProperty(name).GetInt32() - _before.GetProperty(name).GetInt32();
    }

    private async Task ProduceAsync(int producer, Task over, CancellationToken cancellationToken)
    {
        for (var number = 0; number < 20 || !over.IsCompleted; number++)
        {
            var item = new { id = $"{_name}-{producer}-{number}", payload = new { producer, number } };
            await Client.SendAsync(HttpMethod.Post, $"{Queue}/items", new { items = new[] { item } }, null, [HttpStatusCode.Accepted], cancellationToken);
            Interlocked.Increment(ref _handedIn);
            await PauseAsync(50, cancellationToken);
        }
    }

    private async Task ConsumeAsync(Task producing, CancellationToken cancellationToken)
    {
        while (true)
        {
            var isLast = producing.IsCompleted;
            var (_, reply) = await Client.SendAsync(HttpMethod.Post, $"{Queue}/reserve?n=3&wait=1s&lease=8s", null, null, [HttpStatusCode.OK], cancellationToken);
            foreach (var item in reply.GetProperty("items").EnumerateArray()) await AcknowledgeAsync(item, cancellationToken);
            if (isLast && await IsEmptyAsync(cancellationToken)) return;
        }
    }

    private async Task AcknowledgeAsync(JsonElement item, CancellationToken cancellationToken)
    {
        var id = item.GetProperty("id").GetString()!;
        Assert.Equal(id, $"{_name}-{item.GetProperty("payload").GetProperty("producer")}-{item.GetProperty("payload").GetProperty("number")}");
        _seen.AddOrUpdate(id, 1, static (_, times) => times + 1);
        // 409: an acknowledgement whose answer was lost did count, or the lease ran out and the item comes again.
        var (status, _) = await Client.SendAsync(
            HttpMethod.Post, $"{Queue}/items/{id}/ack?token={item.GetProperty("token")}", null, null, [HttpStatusCode.NoContent, HttpStatusCode.Conflict], cancellationToken);
        if (status == HttpStatusCode.NoContent) _acknowledged.AddOrUpdate(id, 1, static (_, times) => times + 1);
        Count();
    }

    private async Task<bool> IsEmptyAsync(CancellationToken cancellationToken) =>
        await StatsAsync(cancellationToken) is var ledger && ((string[])["ready", "delayed", "leased"]).All(name => ledger.GetProperty(name).GetInt32() == 0);

    private Task<JsonElement> StatsAsync(CancellationToken cancellationToken) => Client.GetAsync($"{Queue}/stats", cancellationToken);
}
