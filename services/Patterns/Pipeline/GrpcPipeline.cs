namespace DistributedPatterns.Pipeline;

/// <summary>Pipelines across processes: a producer reads, workers transform, a reducer folds.</summary>
public sealed class GrpcPipeline : IPipeline
{
    public Task<IPipelineRun> StartAsync(PipelineRequest request, CancellationToken cancellationToken = default) => throw new NotSupportedException();

    public ValueTask<IPipelineRun?> FindAsync(string runId, CancellationToken cancellationToken = default) => throw new NotSupportedException();
}
