using System.Globalization;
using DistributedPatterns.Benchmarks.Harness;
using DistributedPatterns.Tests.Support;

namespace DistributedPatterns.Benchmarks.PublishSubscribe;

/// <summary>What it costs that everybody gets everything: in one process, over Redis, and how long a message is on its way.</summary>
internal static class PublishSubscribeBenchmarks
{
    private const string Channels = "a bounded channel for each subscriber";
    private const string Connections = "a connection and a SUBSCRIBE for each subscriber";
    private const int AcrossSubscribers = 16;

    public static IReadOnlyList<IBenchmark> Create(RunSettings settings) =>
    [
        InProcess(1, 4_000_000),
        InProcess(4, 2_000_000),
        InProcess(16, 1_000_000),
        Across(RedisKind.Redis),
        Across(RedisKind.Garnet),
        Latency(RedisKind.Redis),
        Latency(RedisKind.Garnet),
    ];

    private static Throughput InProcess(int subscribers, int operations)
    {
        var title = string.Create(CultureInfo.InvariantCulture, $"Publish-subscribe in process: {subscribers} {(subscribers == 1 ? "subscriber that gets" : "subscribers that each get")} everything");
        List<ThroughputContender> contenders =
        [
            new OurChannelTopic("ours (ChannelTopic, one by one)", operations, subscribers, batch: 1),
            new OurChannelTopic($"ours ({ToAll.Batch} at a time)", operations, subscribers, ToAll.Batch),
            new ChannelEach(Channels, operations, subscribers),
        ];
        if (subscribers == 4) contenders.Add(new GoProgram("Go, a channel each", operations, "PublishSubscribe/pubsub.go", (sum, count) => ToAll.Check(sum / subscribers, count)));
        return new Throughput(title, "published", Channels, contenders);
    }

    private static Throughput Across(RedisKind kind)
    {
        var server = new SharedServices(kind);
        return new Throughput($"Publish-subscribe on {kind}: {AcrossSubscribers} subscribers in one process", "published", Connections,
        [
            new OurTopic("ours, ephemeral", 40_000, AcrossSubscribers, retained: false, server),
            new OurTopic("ours, retained", 40_000, AcrossSubscribers, retained: true, server),
            new ConnectionEach(Connections, 40_000, AcrossSubscribers, server),
        ]);
    }

    private static Latency Latency(RedisKind kind)
    {
        var server = new SharedServices(kind);
        return new Latency($"From publish to subscriber on {kind}, at most 1,000 a second",
            [new PublishToHandler("ours, ephemeral", 2_000, retained: false, server), new PublishToHandler("ours, retained", 2_000, retained: true, server)]);
    }
}
