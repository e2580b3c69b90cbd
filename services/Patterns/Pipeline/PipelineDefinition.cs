using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using DistributedPatterns.Payloads;
using DistributedPatterns.Pipeline.Engine;

namespace DistributedPatterns.Pipeline;

/// <summary>A pipeline by name: what it reads, what its stages do, what its sink makes of the items. Immutable; the same one serves both variants.</summary>
/// <remarks>Across processes only the name travels, so every process has to register the same definitions.</remarks>
public abstract class PipelineDefinition
{
    private protected PipelineDefinition(string name, IReadOnlyList<string> stageNames, bool keepsOrder, int chunkSize)
    {
        Name = name;
        StageNames = stageNames;
        KeepsOrder = keepsOrder;
        ChunkSize = chunkSize;
    }

    public string Name { get; }

    /// <summary>Gets the names of the source, the stages and the sink, in order.</summary>
    public IReadOnlyList<string> StageNames { get; }

    /// <summary>Gets whether items reach the sink in the source's order.</summary>
    public bool KeepsOrder { get; }

    /// <summary>Gets how many items travel together at most.</summary>
    internal int ChunkSize { get; }

    /// <summary>Begins to describe a pipeline.</summary>
    /// <param name="name">Its name, 1 to 64 characters.</param>
    public static PipelineSourceBuilder Named(string name)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(name.Length, 64, nameof(name));
        return new PipelineSourceBuilder(name);
    }

    /// <summary>Checks an input without reading it.</summary>
    /// <exception cref="PipelineInputException">The source refuses it; the message says what is accepted.</exception>
    public abstract void CheckInput(string input);

    /// <summary>Starts source, stages and sink inside this process.</summary>
    internal abstract ChannelWiring StartInProcess(string input, RunScope scope);

    internal abstract Task ReadEncodedAsync(string input, RunScope scope, Func<EncodedChunk, ValueTask> emit);

    internal abstract Func<EncodedChunk, ValueTask<EncodedChunk>> OpenTransform(RunScope scope);

    internal abstract IEncodedSink OpenSink(RunScope scope);
}

/// <summary>A pipeline whose sink makes a <typeparamref name="TResult"/>.</summary>
public abstract class PipelineDefinition<TResult> : PipelineDefinition
{
    private readonly JsonTypeInfo<TResult> _resultType;

    private protected PipelineDefinition(
        string name, IReadOnlyList<string> stageNames, bool keepsOrder, int chunkSize, JsonTypeInfo<TResult> resultType)
        : base(name, stageNames, keepsOrder, chunkSize) => _resultType = resultType;

    /// <summary>Waits until a run of this pipeline has ended and returns its result.</summary>
    /// <exception cref="PipelineStageException">A stage failed.</exception>
    /// <exception cref="PipelineRunException">The run was aborted, or failed for a reason that is no stage's.</exception>
    public async Task<TResult> ResultOfAsync(IPipelineRun run, CancellationToken cancellationToken = default)
    {
        var status = await run.WaitAsync(cancellationToken).ConfigureAwait(false);
        return status switch
        {
            { Result: { } result } => result.Deserialize(_resultType)!,
            { Error: { Stage: { } stage } error } => throw new PipelineStageException(stage, error.Number, error.Message),
            { Error: { } error } => throw new PipelineRunException(error.Message),
            _ => throw new PipelineRunException($"Run {run.Id} was aborted."),
        };
    }

    private protected JsonElement ToJson(TResult result) => JsonSerializer.SerializeToElement(result, _resultType);
}

/// <summary>The typed inside of a definition.</summary>
internal sealed class PipelineDefinition<TIn, TOut, TState, TResult>(
    string name, IReadOnlyList<string> stageNames, bool keepsOrder, int chunkSize,
    PipelineSource<TIn> source, PipelineBuilder<TIn, TOut> stages, PipelineSink<TOut, TState, TResult> sink)
    : PipelineDefinition<TResult>(name, stageNames, keepsOrder, chunkSize, sink.ResultType)
{
    public override void CheckInput(string input) => source.Check?.Invoke(input);

    internal override ChannelWiring StartInProcess(string input, RunScope scope)
    {
        var wiring = new ChannelWiring(input, scope);
        var items = ChannelWiring.NewChannel<TOut>(sink.Options.Capacity, ChunkSize);
        stages.Feed(wiring, items.Writer);
        wiring.Start<TOut>(
            () =>
            {
                var fold = new SinkFold<TOut, TState, TResult>(sink, scope); // here, so that a seed that throws fails the run
                wiring.Done = () => fold.Done;
                wiring.Result = () => ToJson(fold.Finish());
                return ChannelStages.FoldAsync(items.Reader, fold, scope);
            },
            output: null);
        return wiring;
    }

    internal override Task ReadEncodedAsync(string input, RunScope scope, Func<EncodedChunk, ValueTask> emit) =>
        source.Pump.RunAsync(input, scope, ChunkSize, async chunk =>
        {
            foreach (var part in EncodedChunk.EncodeInParts(chunk, source.Codec, PipelineMessages.SplitAboveBytes))
            {
                if (part.Payload.Length > PipelineMessages.MaxPayloadBytes)
                {
                    throw new PipelineStageException(StageNames[0], part.First + 1,
                        $"The item takes {part.Payload.Length:N0} bytes; a message holds {PipelineMessages.MaxPayloadBytes:N0}.");
                }
                await emit(part).ConfigureAwait(false);
            }
            chunk.Return();
        });

    internal override Func<EncodedChunk, ValueTask<EncodedChunk>> OpenTransform(RunScope scope) => async encoded =>
    {
        var output = await stages.ApplyAsync(encoded.Decode(source.Codec), scope).ConfigureAwait(false);
        var result = EncodedChunk.Encode(output, sink.Codec);
        output.Return();
        return result;
    };

    internal override IEncodedSink OpenSink(RunScope scope) =>
        new EncodedSink<TOut, TState, TResult>(new SinkFold<TOut, TState, TResult>(sink, scope), sink.Codec, ToJson);
}

/// <summary>Where items come from, and how they travel to the first stage.</summary>
internal sealed record PipelineSource<T>(SourcePump<T> Pump, Action<string>? Check, IPayloadCodec<T> Codec);

/// <summary>What is made of the items, and how they travel from the last stage.</summary>
internal sealed record PipelineSink<T, TState, TResult>(
    int Index, string Name, StageOptions Options, Func<TState> Seed, Action<TState, T> Fold, Func<TState, TResult> Finish,
    IPayloadCodec<T> Codec, JsonTypeInfo<TResult> ResultType);
