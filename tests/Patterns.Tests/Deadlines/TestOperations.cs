using System.Collections.Concurrent;
using System.Globalization;
using DistributedPatterns.Deadlines;
using DistributedPatterns.Payloads;

namespace DistributedPatterns.Tests.Deadlines;

/// <summary>Operations that a test can hold, and what they saw.</summary>
internal sealed class TestOperations
{
    public const string First = "alpha";
    public const string Second = "beta";

    /// <summary>Lets held operations go on.</summary>
    public TaskCompletionSource Gate { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Gets the names of the operations that have begun, with the attempt they saw, in order.</summary>
    public ConcurrentQueue<(string Operation, int Attempt, TimeSpan Remaining)> Begun { get; } = new();

    /// <summary>Gets why held operations were cancelled, in order, with the timestamp of that.</summary>
    public ConcurrentQueue<(string Operation, CancellationReason Reason, long At)> Cancelled { get; } = new();

    public OperationDefinition[] All =>
    [
        Define<int, int>("double", First, Numbers, Numbers, (value, _) => new(value * 2)),
        Define<string, string>("greet", Second, PayloadCodec.Utf8, PayloadCodec.Utf8, async (name, _) =>
        {
            await Task.Yield();
            return $"Hello, {name}";
        }),
        Define<int, int>("hold", Second, Numbers, Numbers, (value, context) => HoldAsync("hold", value, context)),
        Define<int, int>("deaf", Second, Numbers, Numbers, async (value, _) =>
        {
            await Gate.Task;
            return value;
        }),
        Define<int, int>("fail", Second, Numbers, Numbers, (value, _) => throw new InvalidOperationException($"{value} is not to my taste.")),
        Define<int, int>("flaky", First, Numbers, Numbers, (succeedsAt, context) => context.Attempt >= succeedsAt
            ? new(context.Attempt)
            : throw new OperationUnavailableException("flaky", $"not before attempt {succeedsAt}")),
        // Calls what it is told, such as double:1, and asks for an hour, whatever there is.
        Define<string, int>("chain", First, PayloadCodec.Utf8, Numbers, async (next, context) =>
        {
            var (name, value) = (next.Split(':')[0], int.Parse(next.Split(':')[1], CultureInfo.InvariantCulture));
            return await context.Calls.CallAsync<int, int>(name, value, Deadline.After(TimeSpan.FromHours(1), TimeProvider.System), null, context.Token);
        }),
        Define<int, int>("hold-or-fail", Second, Numbers, Numbers,
            (value, context) => value == 0 ? throw new InvalidOperationException("0 fails.") : HoldAsync("hold-or-fail", value, context)),
    ];

    private static IPayloadCodec<int> Numbers => PayloadCodec.Packed<int>();

    private async ValueTask<int> HoldAsync(string name, int value, OperationContext context)
    {
        try
        {
            await Gate.Task.WaitAsync(context.Token);
            return value;
        }
        catch (OperationCanceledException)
        {
            Cancelled.Enqueue((name, context.Reason, TimeProvider.System.GetTimestamp()));
            throw;
        }
    }

    private OperationDefinition<TIn, TOut> Define<TIn, TOut>(
        string name, string role, IPayloadCodec<TIn> inputs, IPayloadCodec<TOut> outputs, Func<TIn, OperationContext, ValueTask<TOut>> run) =>
        new(name, role, inputs, outputs, (input, context) =>
        {
            Begun.Enqueue((name, context.Attempt, context.Deadline.Remaining));
            return run(input, context);
        });
}
