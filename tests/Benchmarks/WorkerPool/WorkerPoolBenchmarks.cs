using DistributedPatterns.Benchmarks.Harness;
using DistributedPatterns.Tests.Support;

namespace DistributedPatterns.Benchmarks.WorkerPool;

/// <summary>Submit, run a job that does next to nothing, wait for its result: what the pool itself costs.</summary>
internal static class WorkerPoolBenchmarks
{
    private const string Baseline = "Channel + TaskCompletionSource";
    private const string Acknowledged = "ours, submit and forget, 256 callers";

    public static IReadOnlyList<IBenchmark> Create(RunSettings settings)
    {
        var processes = new SharedServices(RedisKind.Garnet, services => services.AddPool(), ("pool-worker", 1));
        return
        [
            new Throughput($"Worker pool in process: {Callers.Count} callers, submit to result, {Callers.Workers} workers", "jobs", Baseline,
            [
                new OurWorkers("ours, bare (ChannelWorkers)", 2_000_000),
                new OurNamedJobs("ours, named jobs (ChannelWorkerPool)", 200_000),
                new ChannelAndCompletionSource(Baseline, 1_000_000),
                new DataflowBlock("TPL Dataflow + TaskCompletionSource", 1_000_000),
                new GoProgram("Go, chan of jobs, chan of results", 1_000_000, "WorkerPool/workerpool.go", Callers.Check),
            ]),
            new Throughput("Worker pool across processes: at least once, acknowledged with the result", "jobs", Acknowledged,
            [
                new SubmitAndForget(Acknowledged, 50_000, processes, 256),
                new SubmitToResult("ours, submit to result, 64 callers", 20_000, processes, 64),
                new SubmitToResult("ours, submit to result, 1,024 callers", 50_000, processes, 1_024),
            ]),
            new Latency("A lone job through Redis to a worker and back", [new LoneJob("ours", 1_000, processes)]),
        ];
    }
}
