using System.Diagnostics;
using System.Globalization;
using DistributedPatterns.Benchmarks.Harness;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Payloads;
using DistributedPatterns.Pipeline;
using Microsoft.Extensions.DependencyInjection;

namespace DistributedPatterns.Benchmarks.Pipeline;

/// <summary><see cref="GrpcPipeline"/> over one producer, one worker and one reducer in processes of their own, from start to result.</summary>
internal sealed class OurGrpcPipeline(string name, int operations, SharedServices shared, string pipeline) : ThroughputContender(name, operations)
{
    private Services? _services;

    public override async Task<string?> SetUpAsync()
    {
        _services = await shared.StartAsync();
        return null;
    }

    public override async Task<TimeSpan?> RunAsync(int operations)
    {
        var since = Stopwatch.GetTimestamp();
        var run = await _services!.Here.GetRequiredKeyedService<IPipeline>(Variants.Distributed)
            .StartAsync(new PipelineRequest(pipeline, operations.ToString(CultureInfo.InvariantCulture)));
        var definition = _services.Here.GetServices<PipelineDefinition<long>>().Single(known => known.Name == pipeline);
        var sum = await definition.ResultOfAsync(run);
        var took = Stopwatch.GetElapsedTime(since);
        Numbers.Check(sum, operations);
        return took;
    }

    public override ValueTask TearDownAsync() => shared.StopAsync();
}

/// <summary>The pipelines that all processes of <see cref="OurGrpcPipeline"/> know.</summary>
internal static class NumbersPipelines
{
    public const string Chunked = "numbers";
    public const string OneByOne = "numbers-one-by-one";

    public static IServiceCollection AddNumbers(this IServiceCollection services) => services
        .AddPipeline(_ => Numbers.Close(From(Chunked)))
        .AddPipeline(_ => Numbers.Close(From(OneByOne), stage => stage.Capacity = 4)); // a quarter of the capacity is the largest chunk

    private static PipelineBuilder<int, int> From(string name) =>
        PipelineDefinition.Named(name).From("count", PayloadCodec.Packed<int>(), input => Numbers.Ready(input));
}
