namespace DistributedPatterns.WorkerPool;

/// <summary>Limits of the pool in one process.</summary>
public sealed class ChannelWorkerPoolOptions : WorkerPoolOptions
{
    /// <summary>Gets or sets what the process is called where its workers are listed.</summary>
    /// <value><c>local</c> unless set.</value>
    public string Name { get; set; } = "local";

    /// <summary>Gets or sets what new ids begin with, so that an id says which process has the job.</summary>
    /// <value>Empty unless set.</value>
    public string IdPrefix { get; set; } = "";
}
