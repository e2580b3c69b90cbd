using System.Text.Json.Serialization.Metadata;
using System.Threading.Channels;
using DistributedPatterns.Payloads;
using DistributedPatterns.Pipeline.Engine;

namespace DistributedPatterns.Pipeline;

/// <summary>Chooses a pipeline's source.</summary>
public sealed class PipelineSourceBuilder
{
    private readonly string _name;

    internal PipelineSourceBuilder(string name) => _name = name;

    /// <summary>Reads items that may have to be waited for.</summary>
    /// <param name="stage">The source's name in reports and errors.</param>
    /// <param name="codec">How items travel to a stage in another process.</param>
    /// <param name="open">
    /// Opens an input. Across processes it must be repeatable: when state is lost the input is read again from its start,
    /// and has to give the same items. Its token is cancelled when reading should stop.
    /// </param>
    /// <param name="check">Throws <see cref="PipelineInputException"/> for an input that cannot be read.</param>
    public PipelineBuilder<T, T> From<T>(
        string stage, IPayloadCodec<T> codec, Func<string, CancellationToken, IAsyncEnumerable<T>> open, Action<string>? check = null) =>
        new(_name, [stage], new PipelineSource<T>(new SourcePump<T>(open), check, codec));

    /// <summary>Reads items that are there at once; a sequence that blocks would hold back the items before it.</summary>
    /// <inheritdoc cref="From{T}(string, IPayloadCodec{T}, Func{string, CancellationToken, IAsyncEnumerable{T}}, Action{string})"/>
    public PipelineBuilder<T, T> From<T>(string stage, IPayloadCodec<T> codec, Func<string, IEnumerable<T>> open, Action<string>? check = null) =>
        From(stage, codec, (input, _) => new ReadyItems<T>(open(input)), check);
}

/// <summary>Adds stages to a pipeline and closes it with a sink.</summary>
/// <typeparam name="TIn">What the source reads.</typeparam>
/// <typeparam name="T">What the last stage so far hands on.</typeparam>
public sealed class PipelineBuilder<TIn, T>
{
    private const int MaxChunkSize = 256;

    private readonly string _name;
    private readonly IReadOnlyList<string> _stageNames;
    private readonly PipelineSource<TIn> _source;

    internal PipelineBuilder(string name, IReadOnlyList<string> stageNames, PipelineSource<TIn> source)
    {
        _name = name;
        _stageNames = stageNames;
        _source = source;

        // Only the very first builder is made this way, where T is TIn.
        Feed = (wiring, output) => wiring.Start(
            () => source.Pump.RunAsync(wiring.Input, wiring.Scope, wiring.Scope.Definition.ChunkSize, chunk => output.WriteAsync((Chunk<T>)(object)chunk, wiring.Scope.Token)),
            output);
        ApplyAsync = static (chunk, _) => new((Chunk<T>)(object)chunk);
        ChunkSize = MaxChunkSize;
        KeepsOrder = true;
    }

    private PipelineBuilder(
        string name, IReadOnlyList<string> stageNames, PipelineSource<TIn> source, int chunkSize, bool keepsOrder,
        Action<ChannelWiring, ChannelWriter<Chunk<T>>> feed, Func<Chunk<TIn>, RunScope, ValueTask<Chunk<T>>> applyAsync)
    {
        _name = name;
        _stageNames = stageNames;
        _source = source;
        ChunkSize = chunkSize;
        KeepsOrder = keepsOrder;
        Feed = feed;
        ApplyAsync = applyAsync;
    }

    /// <summary>Gets how to start everything so far in this process, writing to a channel.</summary>
    internal Action<ChannelWiring, ChannelWriter<Chunk<T>>> Feed { get; }

    /// <summary>Gets how to run one chunk through everything after the source, as a worker does.</summary>
    internal Func<Chunk<TIn>, RunScope, ValueTask<Chunk<T>>> ApplyAsync { get; }

    private int ChunkSize { get; }

    private bool KeepsOrder { get; }

    /// <summary>Adds a stage that never waits.</summary>
    /// <param name="stage">Its name in reports and errors, unique in the pipeline.</param>
    /// <param name="transform">Turns one item into another. Throwing applies <see cref="StageOptions.OnError"/>.</param>
    /// <param name="configure">Sets the stage's options.</param>
    public PipelineBuilder<TIn, TOut> Then<TOut>(string stage, Func<T, TOut> transform, Action<StageOptions>? configure = null) =>
        Add(stage, transform, (item, _) => new ValueTask<TOut>(transform(item)), configure);

    /// <summary>Adds a stage that may wait, for a disk or a network for example.</summary>
    /// <inheritdoc cref="Then{TOut}"/>
    public PipelineBuilder<TIn, TOut> ThenAsync<TOut>(
        string stage, Func<T, CancellationToken, ValueTask<TOut>> transform, Action<StageOptions>? configure = null) =>
        Add(stage, null, transform, configure);

    /// <summary>Adds a stage that gathers items into arrays.</summary>
    /// <param name="stage">Its name in reports, unique in the pipeline.</param>
    /// <param name="count">How many items fill a batch, from 1 to 65,536. A batch may be smaller: the last one, one whose time is up, and
    /// across processes the last one of each message.</param>
    /// <param name="maxWait">How long the first item of a batch waits for the others at most.</param>
    public PipelineBuilder<TIn, T[]> Batch(string stage, int count, TimeSpan maxWait)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, 65_536);
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(maxWait, TimeSpan.Zero);
        var batch = new BatchStage<T>(_stageNames.Count, count, maxWait);
        return Append<T[]>(stage, new StageOptions(), batch.RunAsync, (chunk, scope) => new(batch.Apply(chunk, scope)));
    }

    /// <summary>Closes the pipeline with a sink that folds every item into a state and makes a result of it at the end.</summary>
    /// <param name="stage">Its name in reports and errors, unique in the pipeline.</param>
    /// <param name="codec">How items travel to a sink in another process.</param>
    /// <param name="seed">Makes the empty state of a run.</param>
    /// <param name="fold">Adds one item to the state; never called twice at the same time for one state. Throwing fails the run.</param>
    /// <param name="finish">Makes the result of the state.</param>
    /// <param name="resultType">How the result is written.</param>
    public PipelineDefinition<TResult> Into<TState, TResult>(
        string stage, IPayloadCodec<T> codec, Func<TState> seed, Action<TState, T> fold, Func<TState, TResult> finish, JsonTypeInfo<TResult> resultType)
    {
        var sink = new PipelineSink<T, TState, TResult>(
            _stageNames.Count, stage, new StageOptions(), seed, fold, finish, codec, resultType);
        return new PipelineDefinition<TIn, T, TState, TResult>(_name, NamesWith(stage), KeepsOrder, ChunkSize, _source, this, sink);
    }

    private PipelineBuilder<TIn, TOut> Add<TOut>(
        string name, Func<T, TOut>? transform, Func<T, CancellationToken, ValueTask<TOut>> transformAsync, Action<StageOptions>? configure)
    {
        var options = new StageOptions();
        configure?.Invoke(options);
        var stage = new Stage<T, TOut>(_stageNames.Count, name, options, transform, transformAsync);
        return Append<TOut>(
            name, options,
            (input, output, scope) => ChannelStages.RunAsync(stage, input, output, scope),
            (chunk, scope) => FusedStage.ApplyAsync(stage, chunk, scope));
    }

    private PipelineBuilder<TIn, TOut> Append<TOut>(
        string name, StageOptions options,
        Func<ChannelReader<Chunk<T>>, ChannelWriter<Chunk<TOut>>, RunScope, Task> run,
        Func<Chunk<T>, RunScope, ValueTask<Chunk<TOut>>> apply)
    {
        // A chunk is never larger than a quarter of the tightest stage's room, so that capacity means items whatever travels.
        var chunkSize = Math.Clamp(options.Capacity / 4, 1, ChunkSize);
        var (feedBefore, applyBefore) = (Feed, ApplyAsync);
        return new PipelineBuilder<TIn, TOut>(
            _name, NamesWith(name), _source, chunkSize, KeepsOrder && (options.Ordered || options.Degree == 1),
            (wiring, output) =>
            {
                var input = ChannelWiring.NewChannel<T>(options.Capacity, wiring.Scope.Definition.ChunkSize);
                feedBefore(wiring, input.Writer);
                wiring.Start(() => run(input.Reader, output, wiring.Scope), output);
            },
            async (chunk, scope) => await apply(await applyBefore(chunk, scope).ConfigureAwait(false), scope).ConfigureAwait(false));
    }

    private string[] NamesWith(string stage)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(stage);
        if (_stageNames.Contains(stage)) throw new ArgumentException($"Pipeline '{_name}' has a stage '{stage}' already.", nameof(stage));
        return [.. _stageNames, stage];
    }
}
