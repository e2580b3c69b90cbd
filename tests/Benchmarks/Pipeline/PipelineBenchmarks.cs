using DistributedPatterns.Benchmarks.Harness;
using DistributedPatterns.Payloads;
using DistributedPatterns.Pipeline;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.DependencyInjection;

namespace DistributedPatterns.Benchmarks.Pipeline;

/// <summary>Numbers through three synchronous stages into a sum: what the machinery itself costs.</summary>
internal static class PipelineBenchmarks
{
    private const string Baseline = "Channel per stage, bounded 1,024";
    private const string BareChunks = "bare gRPC to a worker and back, chunks of 256";

    public static IReadOnlyList<IBenchmark> Create(RunSettings settings)
    {
        var processes = new SharedServices(
            RedisKind.Garnet, services => services.AddNumbers().AddGrpcPipeline(), ("producer", 1), ("worker", 1), ("reducer", 1));
        return
        [
            new Throughput("Pipeline in process: ints through 3 synchronous stages", "items", Baseline,
            [
                new OurPipeline("ours, IEnumerable source", 40_000_000, input => Numbers.Ready(input)),
                new OurPipeline("ours, IAsyncEnumerable source", 20_000_000, (input, _) => Numbers.Ready(input).ToAsyncEnumerable()),
                new ChannelPerStage(Baseline, 2_000_000),
                new DataflowBlocks("TPL Dataflow, bounded 1,024", 1_000_000),
                new AkkaStreams("Akka.Streams, async boundary per stage", 500_000),
                new GoProgram("Go, chan per stage, buffered 1,024", 5_000_000, "Pipeline/pipeline.go", Numbers.Check),
                new ChunksByHand("the limit: chunks of 256 by hand", 100_000_000),
            ]),
            new Latency("A lone item through source, 3 stages and sink", [new LoneItem("ours", 5_000)]),
            new Throughput("Pipeline across processes: ints from a producer through the same stages in a worker to a sum in a reducer", "items", BareChunks,
            [
                new OurGrpcPipeline("ours, three services", 20_000_000, processes, NumbersPipelines.Chunked),
                new OurGrpcPipeline("ours, one int a message", 100_000, processes, NumbersPipelines.OneByOne),
                new ChunksToWorker(BareChunks, 20_000_000, processes, 256),
                new ChunksToWorker("bare gRPC to a worker and back, one int a message", 200_000, processes, 1),
            ]),
        ];
    }
}

/// <summary>The work that all contenders do, and its outcome.</summary>
internal static class Numbers
{
    public static int Triple(int x) => unchecked(x * 3);

    public static int AddOne(int x) => unchecked(x + 1);

    public static int Mix(int x) => x ^ (x >> 3);

    public static IEnumerable<int> Ready(string count) => Enumerable.Range(0, int.Parse(count, System.Globalization.CultureInfo.InvariantCulture));

    /// <summary>Adds the three stages and the sum to a source.</summary>
    public static PipelineDefinition<long> Close(PipelineBuilder<int, int> source, Action<StageOptions>? configure = null) => source
        .Then("triple", Triple, configure)
        .Then("add one", AddOne)
        .Then("mix", Mix)
        .Into("sum", PayloadCodec.Packed<int>(), static () => new Sum(), static (sum, x) => sum.Value += x, static sum => sum.Value, BenchmarkJson.Default.Int64);

    public static long Expected(int count)
    {
        var sum = 0L;
        for (var i = 0; i < count; i++) sum += Mix(AddOne(Triple(i)));
        return sum;
    }

    public static void Check(long sum, int count)
    {
        if (sum != Expected(count)) throw new InvalidOperationException($"{count} items gave {sum} instead of {Expected(count)}.");
    }

    private sealed class Sum
    {
        public long Value;
    }
}
