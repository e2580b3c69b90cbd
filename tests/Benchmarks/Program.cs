using DistributedPatterns.Benchmarks.Deadlines;
using DistributedPatterns.Benchmarks.EventLoop;
using DistributedPatterns.Benchmarks.FanOutFanIn;
using DistributedPatterns.Benchmarks.Harness;
using DistributedPatterns.Benchmarks.MapReduce;
using DistributedPatterns.Benchmarks.Pipeline;
using DistributedPatterns.Benchmarks.ProducerConsumer;
using DistributedPatterns.Benchmarks.PublishSubscribe;
using DistributedPatterns.Benchmarks.RateLimiting;
using DistributedPatterns.Benchmarks.ResourcePooling;
using DistributedPatterns.Benchmarks.SingleFlight;
using DistributedPatterns.Benchmarks.Supervision;
using DistributedPatterns.Benchmarks.WorkerPool;

// One line a pattern: its name and its tables.
Dictionary<string, Func<RunSettings, IReadOnlyList<IBenchmark>>> patterns = new(StringComparer.Ordinal)
{
    ["deadlines"] = DeadlinesBenchmarks.Create,
    ["event-loop"] = EventLoopBenchmarks.Create,
    ["fan-out-fan-in"] = FanOutFanInBenchmarks.Create,
    ["map-reduce"] = MapReduceBenchmarks.Create,
    ["pipeline"] = PipelineBenchmarks.Create,
    ["producer-consumer"] = ProducerConsumerBenchmarks.Create,
    ["publish-subscribe"] = PublishSubscribeBenchmarks.Create,
    ["rate-limiting"] = RateLimitingBenchmarks.Create,
    ["single-flight"] = SingleFlightBenchmarks.Create,
    ["resource-pooling"] = ResourcePoolingBenchmarks.Create,
    ["supervision"] = SupervisionBenchmarks.Create,
    ["worker-pool"] = WorkerPoolBenchmarks.Create,
};

if (args is [Services.Serve, var role]) return await Services.ServeAsync(role);
if (args is ["corpus", ..]) return await MapReduceBenchmarks.WriteCorpusAsync(args[1..]);
if (!RunSettings.TryParse(args, [.. patterns.Keys], out var settings, out var problem))
{
    await Console.Error.WriteLineAsync(problem);
    return 2;
}
if (settings.List)
{
    foreach (var name in patterns.Keys) Console.WriteLine(name);
    return 0;
}

Console.WriteLine(Machine.Describe());
foreach (var (name, create) in patterns.OrderBy(pattern => pattern.Key, StringComparer.Ordinal))
{
    if (settings.Pattern is null) Console.WriteLine($"## {name}{Environment.NewLine}");
    else if (settings.Pattern != name) continue;
    foreach (var benchmark in create(settings)) Console.WriteLine(await benchmark.RunAsync(settings));
}
return 0;
