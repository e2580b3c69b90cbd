namespace DistributedPatterns.PublishSubscribe.Engine;

/// <summary>A message in one process: its number is its place.</summary>
internal readonly struct ChannelSlot<T>(string subject, T message) : IRingSlot<T>
{
    public TopicItem<T> ToItem(long place, long generation) => new(new TopicPosition(generation, place + 1), subject, message);
}

/// <summary>A message, or a mark, as it came from Redis.</summary>
internal readonly struct RedisSlot<T>(TopicItem<T> item) : IRingSlot<T>
{
    public TopicItem<T> ToItem(long place, long generation) => item;
}
