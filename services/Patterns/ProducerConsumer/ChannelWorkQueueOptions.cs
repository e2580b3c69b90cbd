namespace DistributedPatterns.ProducerConsumer;

/// <summary>Limits of a queue inside one process.</summary>
public sealed class ChannelWorkQueueOptions : WorkQueueOptions
{
    /// <summary>Gets or sets what the ids begin with that the queue gives out.</summary>
    /// <value>Empty unless set. A gateway sets its own id, so that others know where the item is.</value>
    public string IdPrefix { get; set; } = "";
}
