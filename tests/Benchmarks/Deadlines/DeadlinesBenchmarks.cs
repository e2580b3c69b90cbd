using DistributedPatterns.Benchmarks.Harness;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.DependencyInjection;

namespace DistributedPatterns.Benchmarks.Deadlines;

/// <summary>What a deadline costs an operation that ends at once, here and over gRPC.</summary>
internal static class DeadlinesBenchmarks
{
    private const string Polly = "Polly, timeout strategy";
    private const string Without = "gRPC, without a deadline";

    public static IReadOnlyList<IBenchmark> Create(RunSettings settings)
    {
        var hops = new SharedServices(RedisKind.Redis, services => services.AddBenchmarkOperations().AddGrpcBudgetedCalls(), (RemoteOperations.First, 1), (RemoteOperations.Last, 1));
        return
        [
            new Throughput("Deadlines in process: an operation that ends at once, under a budget and its caller's token", "operations", Polly,
            [
                new OurRunner("ours (DeadlineRunner)", 2_000_000),
                new PollyTimeout(Polly, 1_000_000),
                new LinkedSource("a linked CancellationTokenSource each", 1_000_000),
                new ResetSource("one CancellationTokenSource, reset, without the caller's token", 2_000_000),
            ]),
            new Throughput("Deadlines across processes: 64 callers, unary calls of an operation that ends at once", "calls", Without,
            [
                new GrpcCalls("ours, with a deadline and its interceptors", 20_000, hops, GrpcCallKind.Budgeted),
                new GrpcCalls("gRPC, with a deadline", 20_000, hops, GrpcCallKind.Deadline),
                new GrpcCalls(Without, 20_000, hops, GrpcCallKind.Plain),
            ]),
            new Latency("A caller that leaves, heard at the last of two hops in processes of their own", [new CancelledCalls("ours", 200, hops)]),
        ];
    }
}
