using DistributedPatterns.PublishSubscribe;

namespace DistributedPatterns.PatternCli.PublishSubscribe;

/// <summary>A topic inside this program.</summary>
internal sealed class ProcessTopic : ITopicClient
{
    private readonly ChannelTopic<string> _topic = new("lines", new ChannelTopicOptions { Buffer = 4_096 }, TimeProvider.System);

    public string Where => "inside this program";

    public async Task<long> PublishAsync(string subject, string line) => (await _topic.PublishAsync(line, subject)).Sequence;

    public async Task<ITopicStream> OpenAsync(string subjects, string overflow, string? after = null) => new TopicStream(await _topic.SubscribeAsync(new SubscriptionOptions
    {
        Subjects = subjects,
        Overflow = Enum.Parse<OverflowPolicy>(overflow.Replace("-", "", StringComparison.Ordinal), ignoreCase: true),
        Start = after is null ? TopicStart.Now : TopicStart.After(TopicPosition.Parse(after, null)),
    }));

    public ValueTask DisposeAsync() => _topic.DisposeAsync();

    private sealed class TopicStream(ISubscription<string> subscription) : ITopicStream
    {
        public long Start { get; } = subscription.Position.Sequence;

        public async Task<StreamItem> ReadAsync(CancellationToken cancellationToken)
        {
            while (await subscription.WaitToReadAsync(cancellationToken))
                if (subscription.TryRead(out var item)) return new StreamItem(subscription.Position.ToString(), item.Sequence, item.IsMessage ? item.Message : null, item.Missed);
            throw new RunUnavailableException("The topic ended.");
        }

        public ValueTask DisposeAsync() => subscription.DisposeAsync();
    }
}
