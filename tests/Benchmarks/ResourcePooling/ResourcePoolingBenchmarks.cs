using DistributedPatterns.Benchmarks.Deadlines;
using DistributedPatterns.Benchmarks.Harness;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.DependencyInjection;

namespace DistributedPatterns.Benchmarks.ResourcePooling;

/// <summary>What a loan costs while nobody waits, how long those wait who have to, and what a permit over processes costs.</summary>
internal static class ResourcePoolingBenchmarks
{
    private const string Channel = "Channel of idle ones";
    private const string TwoCalls = "two bare unary calls";

    public static IReadOnlyList<IBenchmark> Create(RunSettings settings) =>
    [
        InProcess("one caller", 10_000_000, threads: 1),
        InProcess("8 callers", 4_000_000, threads: 8),
        new Waits("Resource pooling: 200 callers that come again at once, 8 resources, held for 1 ms",
        [
            new FairPool("ours, in the order of arrival"), new ChannelWaits(Channel), new BargingPool("barging: whoever asks first"),
        ]),
        Across(RedisKind.Redis),
        Across(RedisKind.Garnet),
    ];

    private static Throughput InProcess(string what, int operations, int threads) => new($"Resource pooling in process, 8 resources, take and give back: {what}", "loans", Channel,
    [
        new OurPool("ours (ChannelResourcePool)", operations, threads),
        new ChannelOfThings(Channel, operations, threads),
        new PlatformPool(".NET ObjectPool: no cap, no wait", operations, threads),
        new BareSlots("the limit: compare-and-swap slots", operations, threads),
        new GoProgram("Go, buffered channel", operations, $"ResourcePooling/pool{threads}.go", (loans, wanted) =>
        {
            if (loans != wanted / threads * threads) throw new InvalidOperationException($"{loans} of {wanted} loans.");
        }),
    ]);

    private static Throughput Across(RedisKind kind)
    {
        var shared = new SharedServices(kind, services => services.AddBenchmarkOperations().AddGrpcBudgetedCalls(), (RemoteOperations.Last, 1));
        return new Throughput($"Resource pooling on {kind}: 64 callers of one process, 64 permits", "loans", TwoCalls,
        [
            new OurPermits("ours, a permit for each loan", 20_000, shared, closesEachTime: true),
            new OurPermits("ours, resources stay open", 2_000_000, shared, closesEachTime: false),
            new DistributedLockSemaphore("DistributedLock.Redis semaphore", 10_000, shared),
            new TwoUnaryCalls(TwoCalls, 20_000, shared),
        ]);
    }
}
