using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Serialization;
using System.Threading.Channels;
using DistributedPatterns.Benchmarks.Harness;
using DistributedPatterns.Payloads;
using DistributedPatterns.Pipeline;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Benchmarks.Pipeline;

/// <summary><see cref="ChannelPipeline"/> through its public, item-wise contract.</summary>
internal sealed class OurPipeline : ThroughputContender
{
    private readonly PipelineDefinition<long> _definition;
    private readonly ChannelPipeline _pipeline;

    public OurPipeline(string name, int operations, Func<string, IEnumerable<int>> source)
        : this(name, operations, Numbers.Close(PipelineDefinition.Named("numbers").From("count", PayloadCodec.Packed<int>(), source)))
    {
    }

    public OurPipeline(string name, int operations, Func<string, CancellationToken, IAsyncEnumerable<int>> source)
        : this(name, operations, Numbers.Close(PipelineDefinition.Named("numbers").From("count", PayloadCodec.Packed<int>(), source)))
    {
    }

    private OurPipeline(string name, int operations, PipelineDefinition<long> definition) : base(name, operations)
    {
        _definition = definition;
        _pipeline = new ChannelPipeline(new PipelineCatalog([_definition]), Options.Create(new ChannelPipelineOptions()), TimeProvider.System);
    }

    public override async Task<TimeSpan?> RunAsync(int operations)
    {
        var since = Stopwatch.GetTimestamp();
        var run = await _pipeline.StartAsync(new PipelineRequest("numbers", operations.ToString(CultureInfo.InvariantCulture)));
        var sum = await _definition.ResultOfAsync(run);
        var took = Stopwatch.GetElapsedTime(since);
        Numbers.Check(sum, operations);
        return took;
    }

    public override ValueTask TearDownAsync() => _pipeline.DisposeAsync();
}

/// <summary>One item at a time: written when the one before has reached the sink.</summary>
internal sealed class LoneItem : LatencyContender
{
    private readonly Channel<int> _source = Channel.CreateUnbounded<int>();
    private readonly SemaphoreSlim _atSink = new(0);
    private readonly ChannelPipeline _pipeline;
    private long _arrivedAt;

    public LoneItem(string name, int samples) : base(name, samples)
    {
        var definition = PipelineDefinition.Named("lone")
            .From("wait", PayloadCodec.Packed<int>(), (_, token) => _source.Reader.ReadAllAsync(token))
            .Then("triple", Numbers.Triple)
            .Then("add one", Numbers.AddOne)
            .Then("mix", Numbers.Mix)
            .Into("arrive", PayloadCodec.Packed<int>(), static () => new object(), (_, _) =>
            {
                _arrivedAt = Stopwatch.GetTimestamp();
                _atSink.Release();
            }, static _ => 0L, BenchmarkJson.Default.Int64);
        _pipeline = new ChannelPipeline(new PipelineCatalog([definition]), Options.Create(new ChannelPipelineOptions()), TimeProvider.System);
    }

    public override async Task<string?> SetUpAsync()
    {
        await _pipeline.StartAsync(new PipelineRequest("lone", ""));
        return null;
    }

    public override async Task<double[]> SampleAsync(int samples)
    {
        var took = new double[samples];
        for (var i = 0; i < samples; i++)
        {
            var since = Stopwatch.GetTimestamp();
            _source.Writer.TryWrite(i);
            await _atSink.WaitAsync();
            took[i] = Stopwatch.GetElapsedTime(since, _arrivedAt).TotalMicroseconds;
        }
        return took;
    }

    public override ValueTask TearDownAsync() => _pipeline.DisposeAsync();
}

[JsonSerializable(typeof(long))]
internal sealed partial class BenchmarkJson : JsonSerializerContext;
