using DistributedPatterns.Diagnostics;
using DistributedPatterns.ProducerConsumer;
using Microsoft.Extensions.DependencyInjection;

namespace DistributedPatterns.MapReduce.Coordination;

/// <summary>The three queues: jobs for producers, splits for workers, partitions for reducers.</summary>
internal sealed class MapReduceQueues(
    [FromKeyedServices(MapReduceQueues.JobsKey)] IWorkQueue<JobOrder> jobs,
    [FromKeyedServices(MapReduceQueues.MapsKey)] IWorkQueue<TaskOrder> maps,
    [FromKeyedServices(MapReduceQueues.ReducesKey)] IWorkQueue<TaskOrder> reduces)
{
    public const string JobsName = "map-reduce-jobs";
    public const string MapsName = "map-reduce-maps";
    public const string ReducesName = "map-reduce-reduces";

    private const string JobsKey = Variants.Distributed + ":" + JobsName;
    private const string MapsKey = Variants.Distributed + ":" + MapsName;
    private const string ReducesKey = Variants.Distributed + ":" + ReducesName;

    public IWorkQueue<JobOrder> Jobs => jobs;

    public IWorkQueue<TaskOrder> Maps => maps;

    public IWorkQueue<TaskOrder> Reduces => reduces;

    public IWorkQueue<TaskOrder> Of(TaskPhase phase) => phase == TaskPhase.Map ? maps : reduces;
}
