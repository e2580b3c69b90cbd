using Polly;
using Polly.Retry;

namespace DistributedPatterns.Pipeline.Engine;

/// <summary>One transform with its error policy: what both variants do with items, whatever carries them there.</summary>
internal sealed class Stage<TIn, TOut>
{
    private readonly Func<TIn, TOut>? _transform;
    private readonly Func<TIn, CancellationToken, ValueTask<TOut>> _transformAsync;

    /// <param name="transform">The stage's code if it never waits; it then runs without a state machine an item.</param>
    /// <param name="transformAsync">The stage's code.</param>
    /// <param name="index">Its place among <see cref="PipelineDefinition.StageNames"/>.</param>
    public Stage(
        int index, string name, StageOptions options, Func<TIn, TOut>? transform, Func<TIn, CancellationToken, ValueTask<TOut>> transformAsync)
    {
        options.Validate(name);
        Index = index;
        Name = name;
        Options = options;
        _transform = options.MaxAttempts == 1 ? transform : null;
        _transformAsync = transformAsync;
    }

    public int Index { get; }

    public string Name { get; }

    public StageOptions Options { get; }

    /// <summary>Transforms the items of a slice in their order, applying the error policy to each.</summary>
    /// <param name="slice">The items.</param>
    /// <param name="scope">The run.</param>
    /// <param name="handOn">Takes what is finished when the next item has to wait; <see langword="null"/> to get all at the end.</param>
    /// <returns>What was not handed on.</returns>
    /// <exception cref="PipelineStageException">An item failed and the policy is to stop.</exception>
    public ValueTask<Chunk<TOut>> ApplyAsync(Slice<TIn> slice, RunScope scope, Func<Chunk<TOut>, ValueTask>? handOn = null) =>
        _transform is null ? ApplySlowlyAsync(slice, scope, handOn) : new(Apply(slice, _transform, scope));

    private Chunk<TOut> Apply(Slice<TIn> slice, Func<TIn, TOut> transform, RunScope scope)
    {
        var output = slice.NewOutput<TOut>();
        for (var i = slice.IsWhole ? ApplyToWhole(slice, transform, output, scope) : 0; i < slice.Count; i++)
        {
            try
            {
                for (; i < slice.Count; i++) output.Add(transform(slice.ItemAt(i)), slice.OffsetOf(i));
            }
            catch (Exception error) when (IsOfItem(error, scope))
            {
                Remove(slice, i, error, output, scope);
            }
        }
        scope.Stages[Index].Passed(slice.Count, output.Count);
        return output;
    }

    // Nearly every slice: nothing is missing from it and nothing throws, so items keep their places. Up to the first that does throw.
    private int ApplyToWhole(Slice<TIn> slice, Func<TIn, TOut> transform, Chunk<TOut> output, RunScope scope)
    {
        var from = slice.Items;
        var to = output.Items.AsSpan(0, from.Length);
        var i = 0;
        try
        {
            for (; i < from.Length; i++) to[i] = transform(from[i]);
            return output.Count = i;
        }
        catch (Exception error) when (IsOfItem(error, scope))
        {
            output.Count = i;
            Remove(slice, i, error, output, scope);
            return i + 1;
        }
    }

    private async ValueTask<Chunk<TOut>> ApplySlowlyAsync(Slice<TIn> slice, RunScope scope, Func<Chunk<TOut>, ValueTask>? handOn)
    {
        var output = slice.NewOutput<TOut>();
        var retry = Options.MaxAttempts == 1 ? null : NewRetry(scope);
        for (var i = 0; i < slice.Count; i++)
        {
            try
            {
                var item = slice.ItemAt(i);
                var result = retry is null
                    ? _transformAsync(item, scope.Token)
                    : retry.ExecuteAsync(token => _transformAsync(item, token), scope.Token);
                if (!result.IsCompleted && output.Count > 0 && handOn is not null)
                {
                    // Nobody knows how long this item takes: what is finished must not wait for it.
                    var rest = slice.From(i);
                    output.Span = slice.OffsetOf(i);
                    output.Removed -= rest.Removed;
                    scope.Stages[Index].Passed(i, output.Count);
                    await handOn(output).ConfigureAwait(false);
                    (slice, i) = (rest, 0);
                    output = slice.NewOutput<TOut>();
                }
                output.Add(await result.ConfigureAwait(false), slice.OffsetOf(i));
            }
            catch (Exception error) when (IsOfItem(error, scope))
            {
                Remove(slice, i, error, output, scope);
            }
        }
        scope.Stages[Index].Passed(slice.Count, output.Count);
        return output;
    }

    private ResiliencePipeline NewRetry(RunScope scope) => new ResiliencePipelineBuilder { TimeProvider = scope.Time }
        .AddRetry(new RetryStrategyOptions
        {
            MaxRetryAttempts = Options.MaxAttempts - 1,
            Delay = Options.RetryDelay,
            MaxDelay = TimeSpan.FromSeconds(30),
            BackoffType = DelayBackoffType.Exponential,
            UseJitter = true,
            ShouldHandle = arguments => new(arguments.Outcome.Exception is { } error && IsOfItem(error, scope)),
            OnRetry = _ =>
            {
                scope.Stages[Index].Retry();
                return default;
            },
        })
        .Build();

    // A stage may throw OperationCanceledException for reasons of its own, a time-out for example: that is the item's error
    // like any other. Only once the run itself is cancelled does it mean shutdown.
    private static bool IsOfItem(Exception error, RunScope scope) =>
        !(error is OperationCanceledException && scope.Token.IsCancellationRequested);

    private void Remove(Slice<TIn> slice, int index, Exception error, Chunk<TOut> output, RunScope scope)
    {
        var number = slice.NumberOf(index);
        switch (Options.OnError)
        {
            case ItemErrorPolicy.Skip:
                scope.Stages[Index].Skip();
                break;
            case ItemErrorPolicy.Divert:
                scope.Stages[Index].Divert();
                scope.Divert(new DivertedItem(number, Name, error.Message));
                break;
            default:
                throw new PipelineStageException(Name, number, error.Message, error);
        }
        output.Removed++;
    }
}
