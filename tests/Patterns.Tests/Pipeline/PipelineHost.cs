using DistributedPatterns.Pipeline;

namespace DistributedPatterns.Tests.Pipeline;

/// <summary>A variant with everything it needs to run, until disposed.</summary>
public sealed class PipelineHost(IPipeline pipeline, Func<ValueTask> dispose) : IAsyncDisposable
{
    public IPipeline Pipeline { get; } = pipeline;

    public async Task<PipelineStatus> RunAsync(PipelineDefinition definition, string input, CancellationToken cancellationToken)
    {
        var run = await Pipeline.StartAsync(new PipelineRequest(definition.Name, input), cancellationToken);
        return await run.WaitAsync(cancellationToken);
    }

    public Task<IPipelineRun> StartAsync(PipelineDefinition definition, string input, CancellationToken cancellationToken) =>
        Pipeline.StartAsync(new PipelineRequest(definition.Name, input), cancellationToken);

    public ValueTask DisposeAsync() => dispose();
}
