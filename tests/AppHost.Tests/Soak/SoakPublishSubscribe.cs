using System.Collections.Concurrent;
using System.Net;
using System.Net.ServerSentEvents;
using System.Text.Json;
using DistributedPatterns.Tests.Faults;

namespace DistributedPatterns.Tests.Soak;

/// <summary>Bursts of numbers for subscribers of every policy, one of which stays away for long. Each comes back behind its last event, and can say of every number whether it was read, dropped or gone.</summary>
internal sealed class SoakPublishSubscribe : PatternLoad
{
    private const string Topics = "/api/publish-subscribe/distributed/topics";
    private const int Burst = 10;
    private const int PauseMilliseconds = 1_000;

    private readonly ConcurrentDictionary<long, int> _acknowledged = new();
    private readonly Subscriber[] _subscribers;
    private long _end = long.MaxValue;

    public SoakPublishSubscribe(PatientClient client)
        : base(client) => _subscribers =
        [
            new(this, "overflow=wait"), new(this, "overflow=drop-oldest&buffer=2"), new(this, "overflow=drop-newest&buffer=2"), new(this, "overflow=latest"),
            new(this, "overflow=wait", staysAway: true),
        ];

    /// <summary>Gets what the subscribers read, and what they were told that they missed.</summary>
    public (long Received, long Dropped, long Gap) Sum => (_subscribers.Sum(one => one.Received), _subscribers.Sum(one => one.Dropped), _subscribers.Sum(one => one.Gap));

    public override async Task RunAsync(Task over, CancellationToken cancellationToken)
    {
        var reading = Task.WhenAll(_subscribers.Select(one => one.RunAsync(cancellationToken)));
        await Task.WhenAll(_subscribers.Select(one => one.Listening)).WaitAsync(cancellationToken);
        for (var next = 0; !over.IsCompleted; next += Burst)
        {
            await Clients(Burst, publisher => PublishAsync(publisher, next + publisher, cancellationToken));
            await Task.WhenAny(over, PauseAsync(PauseMilliseconds, cancellationToken));
        }
        await PublishAsync(0, -1, cancellationToken);
        Volatile.Write(ref _end, _acknowledged.Keys.Max());
        await reading;
    }

    public override Task CheckAsync(string fault, CancellationToken cancellationToken)
    {
        Assert.All(_subscribers, one =>
        {
            Assert.Equal(_end - one.First, one.Received + one.Dropped + one.Gap);
            // A publish whose answer was lost is sent again and may be there twice.
            Assert.InRange(_end - one.First, _acknowledged.Keys.Count(sequence => sequence > one.First), _acknowledged.Count + Client.Retries);
        });
        Assert.All(_acknowledged, message => Assert.All(_subscribers, one => Assert.Equal(message.Value, one.Read.GetValueOrDefault(message.Key, message.Value))));
        Assert.True(Sum.Dropped > 0, "no subscriber was too slow: no policy was put to the test");
        Assert.True(Sum.Gap > 0, "nobody was away for longer than the log goes back: no gap was put to the test");
        return Task.CompletedTask;
    }

    private async Task PublishAsync(int publisher, int number, CancellationToken cancellationToken)
    {
        var (_, reply) = await Client.SendAsync(HttpMethod.Post, $"{Topics}/soak.p{publisher}", number, null, [HttpStatusCode.Accepted], cancellationToken);
        Assert.True(_acknowledged.TryAdd(reply.GetProperty("sequence").GetInt64(), number), $"A number was given twice: {reply}");
        Count();
    }

    /// <summary>One subscriber over all its connections.</summary>
    private sealed class Subscriber(SoakPublishSubscribe soak, string query, bool staysAway = false)
    {
        private const int ReadsBeforeAway = 50;
        private const int AwayMilliseconds = 30_000;

        private readonly TaskCompletionSource _listening = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private long _last = -1;
        private string? _lastId;

        public Task Listening => _listening.Task;

        public Dictionary<long, int> Read { get; } = [];

        public long First { get; private set; } = -1;

        public long Received => Read.Count;

        public long Dropped { get; private set; }

        public long Gap { get; private set; }

        private bool IsDone => _last >= Volatile.Read(ref soak._end);

        public async Task RunAsync(CancellationToken cancellationToken)
        {
            while (!IsDone)
            {
                var leaves = false;
                using (var response = await soak.Client.OpenAsync($"{Topics}/**/stream?{query}", _lastId, cancellationToken))
                {
                    try
                    {
                        if (response is not null) leaves = await ReadAsync(response, cancellationToken);
                    }
                    catch (IOException)
                    {
                        // The gateway died under the stream.
                    }
                }
                if (!IsDone) await PauseAsync(leaves ? AwayMilliseconds : 100, cancellationToken);
            }
        }

        /// <returns>Whether it has read enough for now.</returns>
        private async Task<bool> ReadAsync(HttpResponseMessage response, CancellationToken cancellationToken)
        {
            var read = 0;
            await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
            await foreach (var item in SseParser.Create(body).EnumerateAsync(cancellationToken))
            {
                var data = JsonElement.Parse(item.Data);
                var sequence = data.GetProperty("sequence").GetInt64();
                switch (item.EventType)
                {
                    case "open":
                        if (First < 0) First = _last = sequence;
                        _listening.TrySetResult();
                        break;
                    case "message":
                        Follow(sequence, 1, item);
                        Read.Add(sequence, data.GetProperty("payload").GetInt32());
                        break;
                    case "dropped":
                        Dropped += Follow(sequence, data.GetProperty("missed").GetInt64(), item);
                        break;
                    case "gap":
                        Gap += Follow(sequence, data.GetProperty("missed").GetInt64(), item);
                        break;
                    case "heartbeat":
                        break;
                    default:
                        Assert.Fail($"{query}: {item.EventType} {item.Data} behind {_last}"); // Redis keeps what it acknowledged
                        break;
                }
                _lastId = item.EventId;
                if (IsDone || (staysAway && ++read == ReadsBeforeAway)) return true;
            }
            return false;
        }

        /// <summary>Every number is told once, in order, on its own or in a mark.</summary>
        private long Follow(long sequence, long count, SseItem<string> item)
        {
            Assert.True(sequence == _last + count, $"{query}: {item.EventType} {item.Data} behind {_last}");
            _last = sequence;
            return count;
        }
    }
}
