namespace DistributedPatterns.PublishSubscribe.Engine;

internal interface ICountedSubscriber
{
    SubscriptionStatus Status { get; }
}

/// <summary>The subscribers of a topic in this process, at most so many.</summary>
internal sealed class Subscribers(string topic, int max, TopicTelemetry telemetry)
{
    private readonly Lock _gate = new();
    private readonly HashSet<ICountedSubscriber> _all = [];
    private long _disconnected;

    public string Topic => topic;

    public TopicTelemetry Telemetry => telemetry;

    public long Disconnected => Volatile.Read(ref _disconnected);

    /// <exception cref="TooManySubscribersException">There are too many.</exception>
    public void Add(ICountedSubscriber subscriber)
    {
        lock (_gate)
        {
            if (_all.Count == max) throw new TooManySubscribersException(topic, max);
            _all.Add(subscriber);
        }
    }

    public bool Remove(ICountedSubscriber subscriber)
    {
        lock (_gate) return _all.Remove(subscriber);
    }

    public void CountDisconnected()
    {
        Interlocked.Increment(ref _disconnected);
        telemetry.Disconnected();
    }

    public IReadOnlyList<SubscriptionStatus> Statuses()
    {
        ICountedSubscriber[] all;
        lock (_gate) all = [.. _all];
        return [.. all.Select(static one => one.Status)];
    }
}
