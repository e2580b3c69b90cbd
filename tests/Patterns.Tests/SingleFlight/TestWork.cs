using System.Collections.Concurrent;
using System.Threading.Channels;
using DistributedPatterns.Payloads;
using DistributedPatterns.SingleFlight;

namespace DistributedPatterns.Tests.SingleFlight;

/// <summary>A work that does what its test says, run by run.</summary>
internal sealed class TestWork
{
    private readonly Channel<TestRun> _runs = Channel.CreateUnbounded<TestRun>();
    private readonly ConcurrentQueue<TestRun> _all = new();

    public TestWork(string name = "text")
    {
        Name = name;
        Definition = new FlightDefinition<string, string>(name, PayloadCodec.Utf8, async (input, context) =>
        {
            var run = new TestRun(input, context);
            _all.Enqueue(run);
            _runs.Writer.TryWrite(run);
            return await run.EndAsync();
        });
    }

    public string Name { get; }

    public FlightDefinition Definition { get; }

    /// <summary>Gets how many runs have been started, in all processes.</summary>
    public int Started => _all.Count;

    /// <summary>Waits for the next run that the test has not seen yet.</summary>
    public Task<TestRun> NextAsync() => _runs.Reader.ReadAsync(TestContext.Current.CancellationToken).AsTask();

    /// <summary>Lets every run end at once, with its input and number.</summary>
    public async Task AnswerAllAsync(CancellationToken cancellationToken)
    {
        await foreach (var run in _runs.Reader.ReadAllAsync(cancellationToken)) run.Return($"{run.Input} {run.Context.Fence}");
    }
}

/// <summary>One run of a <see cref="TestWork"/>.</summary>
internal sealed class TestRun(string input, FlightContext context)
{
    private readonly TaskCompletionSource<string> _end = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public string Input => input;

    public FlightContext Context => context;

    /// <summary>Gets or sets whether it goes on when it is cancelled.</summary>
    public bool IgnoresToken { get; set; }

    public void Return(string value) => _end.TrySetResult(value);

    public void Throw(Exception error) => _end.TrySetException(error);

    public Task UntilCancelledAsync() => Support.Eventually.TrueAsync(() => context.Token.IsCancellationRequested, TimeSpan.FromSeconds(30), () => "the run goes on");

    public async Task<string> EndAsync()
    {
        var told = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var registration = context.Token.Register(() => told.TrySetResult());
        if (await Task.WhenAny(_end.Task, told.Task) == told.Task && !IgnoresToken) context.Token.ThrowIfCancellationRequested();
        return await _end.Task;
    }
}
