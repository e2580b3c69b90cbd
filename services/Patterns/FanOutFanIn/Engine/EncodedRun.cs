using System.Buffers;
using DistributedPatterns.Payloads;

namespace DistributedPatterns.FanOutFanIn.Engine;

/// <summary>A branch run for inputs that come encoded, and whose answers leave encoded.</summary>
internal interface IEncodedRun
{
    /// <summary>Gets or sets how many items may run at the same time.</summary>
    int Degree { get; set; }

    /// <summary>Runs until the inputs end and everything is answered; an item's error is an answer.</summary>
    /// <param name="emit">Sends answers on; called for one batch at a time.</param>
    /// <param name="cancellationToken">Cancels the branches too.</param>
    /// <exception cref="FormatException">The inputs are not what the branch takes.</exception>
    Task RunAsync(Func<EncodedAnswers, ValueTask> emit, CancellationToken cancellationToken);
}

internal sealed record EncodedRunSettings(int Degree, TimeSpan? ItemLimit, ScatterHost Host);

/// <summary>Inputs in a row.</summary>
internal readonly record struct EncodedItems(int Count, ReadOnlyMemory<byte> Payload);

/// <summary>Answers to inputs, by their number in the order in which they came.</summary>
internal sealed record EncodedAnswers(
    int Count, ReadOnlyMemory<byte> Numbers, ReadOnlyMemory<byte> RunTicks, ReadOnlyMemory<byte> Payload)
{
    public IReadOnlyList<EncodedFailure> Failures { get; init; } = [];

    /// <summary>Gets what nobody has begun and somebody else should run.</summary>
    public IReadOnlyList<MissingInputs> PassedOn { get; init; } = [];

    public static EncodedAnswers None { get; } = new(0, default, default, default);
}

internal readonly record struct EncodedFailure(long Number, TimeSpan Run, string Reason, bool TimedOut);

internal sealed class EncodedRun<TIn, TOut> : IEncodedRun
{
    private const int MostAtOnce = 1_024;

    // A caller far away is woken less often than one in this process: a message costs what a hundred small items do.
    private static readonly TimeSpan s_sliceTarget = TimeSpan.FromMilliseconds(1);

    // Far above what is sent ahead of the loops: when nothing has ended for so long, every loop has a slow item, or no loop has a thread.
    private static readonly TimeSpan s_stalled = TimeSpan.FromMilliseconds(20);

    private readonly BranchDefinition<TIn, TOut> _branch;
    private readonly TimeProvider _time;
    private readonly Gather<TIn, TOut> _gather;
    private readonly List<BranchResult<TOut>> _batch = new(MostAtOnce);

    public EncodedRun(BranchDefinition<TIn, TOut> branch, IAsyncEnumerable<EncodedItems> inputs, EncodedRunSettings settings)
    {
        (_branch, _time) = (branch, settings.Host.Time);
        var options = new ScatterOptions<TIn> { Degree = settings.Degree, ItemLimit = settings.ItemLimit, OnError = BranchErrorPolicy.Collect };
        _gather = new Gather<TIn, TOut>(
            branch, new SequenceIntake<TIn>(Decode(inputs), settings.Host.Time), options.Checked(), settings.Host,
            run => new LoopCrew<TIn, TOut>(run, settings.Degree, s_sliceTarget), () => settings.Degree);
    }

    public int Degree
    {
        get => _gather.Degree;
        set => _gather.Degree = value;
    }

    public async Task RunAsync(Func<EncodedAnswers, ValueTask> emit, CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var results = _gather.GetAsyncEnumerator(stop.Token);
        Task<bool>? awaited = null;
        try
        {
            for (var more = true; more;)
            {
                var next = results.MoveNextAsync();
                if (!next.IsCompletedSuccessfully)
                {
                    awaited = next.AsTask();
                    await EmitAsync(emit).ConfigureAwait(false); // what is there goes at once, however little
                    while (await Task.WhenAny(awaited, Task.Delay(s_stalled, _time, stop.Token)).ConfigureAwait(false) != awaited)
                    {
                        stop.Token.ThrowIfCancellationRequested();
                        if (_gather.GiveUp() is { Count: > 0 } passedOn) await emit(EncodedAnswers.None with { PassedOn = passedOn }).ConfigureAwait(false);
                    }
                    more = await awaited.ConfigureAwait(false);
                    awaited = null;
                }
                else
                {
                    more = next.Result;
                }
                if (more) _batch.Add(results.Current);
                if (_batch.Count == MostAtOnce) await EmitAsync(emit).ConfigureAwait(false);
            }
            await EmitAsync(emit).ConfigureAwait(false);
        }
        finally
        {
            if (awaited is not null)
            {
                await stop.CancelAsync().ConfigureAwait(false); // it may be waiting for inputs that never come
                await ((Task)awaited).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
            await results.DisposeAsync().ConfigureAwait(false);
        }
    }

    private async ValueTask EmitAsync(Func<EncodedAnswers, ValueTask> emit)
    {
        if (_batch.Count == 0) return;
        var done = _batch.FindAll(static result => result.Error is null).ToArray();
        var failures = _batch.FindAll(static result => result.Error is not null).ConvertAll(static result =>
            new EncodedFailure(result.Index, result.Run, result.Error!.Reason, result.Error is BranchTimeoutException));
        _batch.Clear();

        var parts = PayloadParts.Encode(Array.ConvertAll(done, static result => result.Value), _branch.Outputs);
        var first = 0;
        foreach (var (count, payload) in parts)
        {
            if (payload.Length > PayloadParts.MostBytes)
            {
                failures.Add(new EncodedFailure(done[first].Index, done[first].Run, $"Its answer takes {payload.Length:N0} bytes; a message holds {PayloadParts.MostBytes:N0}.", false));
            }
            else
            {
                var part = new ReadOnlyMemory<BranchResult<TOut>>(done, first, count);
                await emit(new EncodedAnswers(count, Pack(part, static result => result.Index), Pack(part, static result => result.Run.Ticks), payload)).ConfigureAwait(false);
            }
            first += count;
        }
        if (failures.Count > 0) await emit(EncodedAnswers.None with { Failures = failures }).ConfigureAwait(false);
    }

    private async IAsyncEnumerable<TIn> Decode(IAsyncEnumerable<EncodedItems> inputs)
    {
        await foreach (var (count, payload) in inputs.ConfigureAwait(false))
        {
            var items = new TIn[count];
            _branch.Inputs.Decode(payload.Span, items);
            foreach (var item in items) yield return item;
        }
    }

    private static ReadOnlyMemory<byte> Pack(ReadOnlyMemory<BranchResult<TOut>> results, Func<BranchResult<TOut>, long> number)
    {
        var numbers = new long[results.Length];
        for (var i = 0; i < numbers.Length; i++) numbers[i] = number(results.Span[i]);
        var output = new ArrayBufferWriter<byte>(numbers.Length * sizeof(long));
        PayloadCodec.Packed<long>().Encode(numbers, output);
        return output.WrittenMemory;
    }
}

/// <summary>Cuts payloads so that a message is neither refused nor long under way.</summary>
internal static class PayloadParts
{
    /// <summary>The largest payload of a message: gRPC's limit of 4 MiB without what the envelope takes. A single item may be too large for it.</summary>
    public const int MostBytes = (4 * 1024 * 1024) - (64 * 1024);

    private const int CutAboveBytes = 1024 * 1024;

    public static IEnumerable<(int Count, ReadOnlyMemory<byte> Payload)> Encode<T>(ReadOnlyMemory<T> items, IPayloadCodec<T> codec)
    {
        if (items.IsEmpty) yield break;
        var output = new ArrayBufferWriter<byte>();
        codec.Encode(items.Span, output);
        if (output.WrittenCount <= CutAboveBytes || items.Length == 1)
        {
            yield return (items.Length, output.WrittenMemory);
            yield break;
        }
        foreach (var part in Encode(items[..(items.Length / 2)], codec)) yield return part;
        foreach (var part in Encode(items[(items.Length / 2)..], codec)) yield return part;
    }
}
