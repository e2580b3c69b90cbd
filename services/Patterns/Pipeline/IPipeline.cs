namespace DistributedPatterns.Pipeline;

/// <summary>Runs named pipelines: a source, stages that each transform one item, and a sink that folds what comes out.</summary>
/// <remarks>
/// What both variants keep:
/// <list type="bullet">
/// <item>Bounded: no stage holds more than its capacity; a slow stage slows the source, and nothing is dropped to keep up.</item>
/// <item>Nothing is lost in silence: at the end of a run, read = done + skipped + diverted + failed + dropped (<see cref="PipelineLedger"/>).</item>
/// <item>The first real error surfaces, with the name of its stage and the number of its item, and stops everything upstream.</item>
/// <item>A run always ends: completed, drained, aborted or failed.</item>
/// <item>Items reach the sink in the source's order unless a stage gives the order up (<see cref="StageOptions.Ordered"/>).</item>
/// </list>
/// <para><see cref="ChannelPipeline"/> lives and dies with its process. <see cref="GrpcPipeline"/> survives the death of any
/// process it uses: each item's effect on the result counts once, though a stage may see an item again.</para>
/// </remarks>
public interface IPipeline
{
    /// <summary>Starts a run and returns at once; the run goes on when <paramref name="cancellationToken"/> is cancelled later.</summary>
    /// <exception cref="UnknownPipelineException">No pipeline of that name is registered.</exception>
    /// <exception cref="PipelineInputException">The pipeline's source refuses the input.</exception>
    /// <exception cref="PipelineFullException">As many runs as allowed are already open.</exception>
    Task<IPipelineRun> StartAsync(PipelineRequest request, CancellationToken cancellationToken = default);

    /// <summary>Returns a run that is open or ended lately, or <see langword="null"/>.</summary>
    ValueTask<IPipelineRun?> FindAsync(string runId, CancellationToken cancellationToken = default);
}

/// <summary>One run of a pipeline.</summary>
public interface IPipelineRun
{
    /// <summary>Gets the run's id, unique over all processes.</summary>
    string Id { get; }

    /// <summary>Reads how far the run is.</summary>
    ValueTask<PipelineStatus> GetStatusAsync(CancellationToken cancellationToken = default);

    /// <summary>Waits until the run has ended, however it ended. Cancelling stops the waiting, not the run.</summary>
    Task<PipelineStatus> WaitAsync(CancellationToken cancellationToken = default);

    /// <summary>Asks the run to end early; returns once the request is recorded. An ended run stays as it is.</summary>
    ValueTask StopAsync(PipelineStop how, CancellationToken cancellationToken = default);
}

/// <summary>How to end a run before its source is exhausted.</summary>
public enum PipelineStop
{
    /// <summary>Read nothing more, finish what was read; the result covers that part.</summary>
    Drain,

    /// <summary>Drop what is in flight; there is no result.</summary>
    Abort,
}

/// <summary>What to run.</summary>
/// <param name="Pipeline">The name of a registered <see cref="PipelineDefinition"/>.</param>
/// <param name="Input">What the pipeline's source reads, in the source's own words: a file's name, a count.</param>
public sealed record PipelineRequest(string Pipeline, string Input)
{
    /// <summary>Gets the run's id, or <see langword="null"/> for a new one. Starting an id again returns the run that has it.</summary>
    public string? Id { get; init; }
}
