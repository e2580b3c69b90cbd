using DistributedPatterns.Pipeline;
using DistributedPatterns.WorkerPool;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers the jobs that ship.</summary>
public static class WorkerPoolJobsServiceCollectionExtensions
{
    /// <summary>Registers the jobs <c>sha256</c>, <c>text-count</c> and <c>simulated</c>, and the inputs they read.</summary>
    public static IServiceCollection AddWorkerPoolJobs(this IServiceCollection services) => services.AddPipelineInputs()
        .AddJob(provider => FilePartJobs.Sha256(provider.GetRequiredService<PipelineInputs>()))
        .AddJob(provider => FilePartJobs.TextCount(provider.GetRequiredService<PipelineInputs>()))
        .AddJob(provider => SimulatedJob.Create(provider.GetRequiredService<TimeProvider>()));
}
