namespace DistributedPatterns.ProducerConsumer;

/// <summary>Limits of a queue inside one process.</summary>
public sealed class ChannelWorkQueueOptions : WorkQueueOptions;
