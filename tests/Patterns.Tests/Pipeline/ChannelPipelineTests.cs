using DistributedPatterns.Pipeline;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Time.Testing;

namespace DistributedPatterns.Tests.Pipeline;

/// <summary>The contract over <see cref="ChannelPipeline"/>, on a clock that stands still unless a test moves it.</summary>
public sealed partial class ChannelPipelineTests : PipelineConformance
{
    private readonly FakeTimeProvider _time = new();

    // Three channels of 4,096 items, and a chunk of 256 in each of the four hands.
    protected override long MostInFlight => (3 * 4096) + (4 * 256);

    protected override ValueTask<PipelineHost> CreateAsync(int maxRuns, params PipelineDefinition[] definitions)
    {
        var pipeline = NewPipeline(new ChannelPipelineOptions { MaxRuns = maxRuns }, definitions);
        return new(new PipelineHost(pipeline, pipeline.DisposeAsync));
    }

    private ChannelPipeline NewPipeline(ChannelPipelineOptions options, params PipelineDefinition[] definitions) =>
        new(new PipelineCatalog(definitions), Options.Create(options), _time);
}
