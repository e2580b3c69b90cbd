using System.Collections.Concurrent;
using System.Diagnostics;
using DistributedPatterns.Payloads;
using DistributedPatterns.PublishSubscribe;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.Logging.Abstractions;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.PublishSubscribe;

/// <summary>What a trace shows of a message that went through Redis.</summary>
public sealed class TopicTraceTests(SharedRedis shared)
{
    private const int HangLimit = 60_000;

    private static CancellationToken TestStop => TestContext.Current.CancellationToken;

    [Theory(Timeout = HangLimit)]
    [InlineData("retained", 0)]
    [InlineData("retained", 1)]
    [InlineData("ephemeral", 0)]
    public async Task Receive_LinksToTheSpanThatSent(string kind, int replayed)
    {
        var name = SharedRedis.NewTag();
        var received = new ConcurrentQueue<Activity>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = static source => source.Name is "DistributedPatterns" or "topic-test",
            Sample = static (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = activity =>
            {
                if (activity.OperationName == "receive" && activity.GetTagItem("messaging.destination.name") as string == name) received.Enqueue(activity);
            },
        };
        ActivitySource.AddActivityListener(listener);
        using var source = new ActivitySource("topic-test");
        await using var redis = await (await shared.OfAsync(RedisKind.Redis)).ConnectAsync();
        await using var topic = Create(redis, kind, name);
        var before = replayed > 0 ? await PublishAsync() : default;
        using var listening = source.StartActivity("listening");
        await using var subscription = await topic.SubscribeAsync(new() { Start = replayed > 0 ? TopicStart.Last(replayed) : TopicStart.Now }, TestStop);
        var live = replayed > 0 ? default : await PublishAsync();

        Assert.True(await subscription.WaitToReadAsync(TestStop));

        await Eventually.TrueAsync(() => received.Any(span => span.Links.Any(link => link.Context.TraceId == (replayed > 0 ? before : live))), TimeSpan.FromSeconds(30), () => $"{received.Count} spans");
        Assert.All(received, span => Assert.Equal((ActivityKind.Consumer, null), (span.Kind, span.ParentId)));

        async Task<ActivityTraceId> PublishAsync()
        {
            using var publishing = source.StartActivity("publishing", ActivityKind.Internal, new ActivityContext(ActivityTraceId.CreateRandom(), ActivitySpanId.CreateRandom(), ActivityTraceFlags.Recorded));
            await topic.PublishAsync("message", cancellationToken: TestStop);
            return publishing!.TraceId;
        }
    }

    private static ITopic<string> Create(IConnectionMultiplexer redis, string kind, string name) => kind == "retained"
        ? new RedisRetainedTopic<string>(redis, name, PayloadCodec.Utf8, new RedisRetainedTopicOptions(), TimeProvider.System, NullLogger<RedisRetainedTopic<string>>.Instance)
        : new RedisEphemeralTopic<string>(redis, name, PayloadCodec.Utf8, new RedisTopicOptions(), TimeProvider.System);
}
