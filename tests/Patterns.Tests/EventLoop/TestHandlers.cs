using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.Json.Serialization;
using DistributedPatterns.EventLoop;

namespace DistributedPatterns.Tests.EventLoop;

/// <summary>Two kinds of states that have nothing to do with each other, and handlers that fail, wait and set timers when their test says so.</summary>
internal sealed class TestHandlers
{
    private readonly ConcurrentDictionary<string, int> _inTurn = [];
    private readonly LoopHandler[] _more;
    private int _overlaps;

    public TestHandlers(params LoopHandler[] more) : this(attempts: 1) => _more = more;

    public TestHandlers(int attempts)
    {
        _more = [];
        Add = new("add", OnAdd, EventLoopTestJson.Default.Numbers, EventLoopTestJson.Default.Number);
        Flaky = new("flaky", (state, e, turn) => FailFor-- > 0 ? throw new InvalidOperationException("not yet") : OnAdd(state, e, turn),
            EventLoopTestJson.Default.Numbers, EventLoopTestJson.Default.Number, new LoopHandlerOptions { MaxAttempts = attempts });
        Block = new("block", (state, e, turn) =>
        {
            Blocked.TrySetResult();
            Gate.Wait(TestContext.Current.CancellationToken);
            return OnAdd(state, e, turn);
        }, EventLoopTestJson.Default.Numbers, EventLoopTestJson.Default.Number);
        Remember = new("remember", static (text, e, turn) =>
        {
            if (e.AfterMs is { } ms) turn.SetTimer("later", TimeSpan.FromMilliseconds(ms), new LoopEvent("remember", JsonSerializer.SerializeToElement(new Word("tick", null, false), EventLoopTestJson.Default.Word)));
            if (e.Cancels) turn.CancelTimer("later");
            return e.Text == "end" ? null : new Words([.. text?.All ?? [], e.Text]);
        }, EventLoopTestJson.Default.Words, EventLoopTestJson.Default.Word);
        Fetch = new("fetch", (state, e, turn) =>
        {
            turn.RunOffLoop(async cancellationToken =>
            {
                await OffLoop.Task.WaitAsync(cancellationToken);
                return Add.With(new Number(e.Value * 10));
            });
            return OnAdd(state, e, turn);
        }, EventLoopTestJson.Default.Numbers, EventLoopTestJson.Default.Number);
    }

    /// <summary>Appends a number to the key's, and to their sum.</summary>
    public LoopHandler<Numbers, Number> Add { get; }

    /// <summary>As add, but fails <see cref="FailFor"/> times before.</summary>
    public LoopHandler<Numbers, Number> Flaky { get; }

    /// <summary>As add, but holds its loop up until <see cref="Gate"/> opens.</summary>
    public LoopHandler<Numbers, Number> Block { get; }

    /// <summary>Keeps words, of all things; sets and cancels a timer; "end" ends the key.</summary>
    public LoopHandler<Words, Word> Remember { get; }

    /// <summary>As add, and comes back from off the loop with ten times the number once <see cref="OffLoop"/> is set.</summary>
    public LoopHandler<Numbers, Number> Fetch { get; }

    public LoopHandler[] All => [Add, Flaky, Block, Remember, Fetch, .. _more];

    public int FailFor { get; set; }

    public ManualResetEventSlim Gate { get; } = new();

    public TaskCompletionSource Blocked { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public TaskCompletionSource OffLoop { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Gets how often two turns of a key were at the same time.</summary>
    public int Overlaps => Volatile.Read(ref _overlaps);

    private Numbers OnAdd(Numbers? state, Number e, TurnContext turn)
    {
        if (_inTurn.AddOrUpdate(turn.Key, 1, static (_, now) => now + 1) > 1) Interlocked.Increment(ref _overlaps);
        var next = new Numbers((state?.Sum ?? 0) + e.Value, (state?.Count ?? 0) + 1, e.Value, (state?.IsInOrder ?? true) && e.Value > (state?.Last ?? int.MinValue));
        _inTurn.AddOrUpdate(turn.Key, 0, static (_, now) => now - 1);
        return next;
    }
}

/// <param name="IsInOrder">Whether each number was above the one before.</param>
internal sealed record Numbers(long Sum, int Count, int Last, bool IsInOrder);

internal sealed record Number(int Value);

internal sealed record Words(IReadOnlyList<string> All);

internal sealed record Word(string Text, int? AfterMs, bool Cancels);

[JsonSerializable(typeof(Numbers))]
[JsonSerializable(typeof(Number))]
[JsonSerializable(typeof(Words))]
[JsonSerializable(typeof(Word))]
internal sealed partial class EventLoopTestJson : JsonSerializerContext;
