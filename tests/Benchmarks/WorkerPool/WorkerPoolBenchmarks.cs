using DistributedPatterns.Benchmarks.Harness;

namespace DistributedPatterns.Benchmarks.WorkerPool;

/// <summary>Submit, run a job that does next to nothing, wait for its result: what the pool itself costs.</summary>
internal static class WorkerPoolBenchmarks
{
    private const string Baseline = "Channel + TaskCompletionSource";

    public static IReadOnlyList<IBenchmark> Create(RunSettings settings) =>
    [
        new Throughput($"Worker pool in process: {Callers.Count} callers, submit to result, {Callers.Workers} workers", "jobs", Baseline,
        [
            new OurWorkers("ours, bare (ChannelWorkers)", 2_000_000),
            new OurNamedJobs("ours, named jobs (ChannelWorkerPool)", 200_000),
            new ChannelAndCompletionSource(Baseline, 1_000_000),
            new DataflowBlock("TPL Dataflow + TaskCompletionSource", 1_000_000),
            new GoProgram("Go, chan of jobs, chan of results", 1_000_000, "WorkerPool/workerpool.go", Callers.Check),
        ]),
    ];
}
