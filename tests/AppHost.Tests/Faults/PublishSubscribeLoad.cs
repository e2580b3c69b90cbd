using System.Collections.Concurrent;
using System.Net;
using System.Net.ServerSentEvents;
using System.Text.Json;

namespace DistributedPatterns.Tests.Faults;

/// <summary>Publishes numbers, and reads them from a stream that goes on behind its last event whenever it was cut: no number is out of order, and none that was acknowledged is missing.</summary>
internal sealed class PublishSubscribeLoad(PatientClient client) : PatternLoad(client)
{
    private const string Topics = "/api/publish-subscribe/distributed/topics";
    private const int Publishers = 2;

    private readonly string _root = $"faults-{Guid.NewGuid():N}"[..20];
    private readonly ConcurrentDictionary<long, int> _acknowledged = new();
    private readonly Dictionary<long, int> _read = [];
    private readonly TaskCompletionSource _listening = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _last = -1;
    private string? _lastId;
    private long _end = long.MaxValue;

    public override async Task RunAsync(Task over, CancellationToken cancellationToken)
    {
        var reading = ReadAsync(cancellationToken);
        await _listening.Task.WaitAsync(cancellationToken);
        await Clients(Publishers, async publisher =>
        {
            for (var i = publisher; !over.IsCompleted || _acknowledged.IsEmpty; i += Publishers)
            {
                await PublishAsync(publisher, i, cancellationToken);
                await PauseAsync(20, cancellationToken);
            }
        });
        await PublishAsync(0, -1, cancellationToken);
        _end = _acknowledged.Keys.Max();
        await reading;
    }

    public override Task CheckAsync(string fault, CancellationToken cancellationToken)
    {
        Assert.All(_acknowledged, message => Assert.Equal(message.Value, _read[message.Key]));
        return Task.CompletedTask;
    }

    private async Task PublishAsync(int publisher, int number, CancellationToken cancellationToken)
    {
        // One whose answer was lost is sent again, and may then be there twice; both are read.
        var (_, reply) = await Client.SendAsync(HttpMethod.Post, $"{Topics}/{_root}.p{publisher}", number, null, [HttpStatusCode.Accepted], cancellationToken);
        Assert.True(_acknowledged.TryAdd(reply.GetProperty("sequence").GetInt64(), number), $"A number was given twice: {reply}");
    }

    private async Task ReadAsync(CancellationToken cancellationToken)
    {
        while (_last < Volatile.Read(ref _end))
        {
            // All subjects: then every number of the topic must come.
            using var response = await Client.OpenAsync($"{Topics}/**/stream?overflow=wait", _lastId, cancellationToken);
            try
            {
                if (response is not null) await ReadAsync(response, cancellationToken);
            }
            catch (IOException)
            {
                // The gateway died under the stream.
            }
            if (_last < Volatile.Read(ref _end)) await PauseAsync(100, cancellationToken);
        }
    }

    private async Task ReadAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
        await foreach (var item in SseParser.Create(body).EnumerateAsync(cancellationToken))
        {
            var data = JsonElement.Parse(item.Data);
            var sequence = data.GetProperty("sequence").GetInt64();
            switch (item.EventType)
            {
                case "open":
                    if (_last < 0) _last = sequence;
                    _listening.TrySetResult();
                    break;
                case "message":
                    Assert.Equal(_last + 1, sequence);
                    _last = sequence;
                    var isMine = data.GetProperty("topic").GetString()!.StartsWith(_root, StringComparison.Ordinal);
                    if (isMine) _read.Add(sequence, data.GetProperty("payload").GetInt32());
                    Count();
                    break;
                case "heartbeat":
                    break;
                default:
                    Assert.Fail($"{item.EventType} {item.Data} behind {_last}"); // nothing may be missing: Redis keeps what it acknowledged, and the log is long enough
                    break;
            }
            _lastId = item.EventId;
            if (_last >= Volatile.Read(ref _end)) return;
        }
    }
}
