using System.Collections.Concurrent;
using System.Threading.Channels;
using DistributedPatterns.Supervision;

namespace DistributedPatterns.Tests.Supervision;

/// <summary>A child that does what its test says, start by start.</summary>
internal sealed class TestChild
{
    private readonly Channel<ChildStart> _starts = Channel.CreateUnbounded<ChildStart>();

    /// <param name="name">Its name.</param>
    /// <param name="journal">Where it notes <c>+name</c> when it starts and <c>-name</c> when it ends.</param>
    /// <param name="restart">When it is started again.</param>
    /// <param name="heartbeat">Its heartbeat limit. With one it is up when the test says so (<see cref="ChildContext.Beat"/>).</param>
    /// <param name="stopLimit">How long it has to stop.</param>
    public TestChild(string name, ConcurrentQueue<string>? journal = null, ChildRestart restart = ChildRestart.Permanent, TimeSpan? heartbeat = null, TimeSpan? stopLimit = null)
    {
        Name = name;
        var options = new ChildOptions { Restart = restart, HeartbeatLimit = heartbeat, StopLimit = stopLimit ?? TimeSpan.FromSeconds(30) };
        Definition = new ChildDefinition(name, async (context, token) =>
        {
            var start = new ChildStart(context);
            journal?.Enqueue("+" + name);
            _starts.Writer.TryWrite(start);
            try
            {
                await start.RunAsync(token);
            }
            finally
            {
                journal?.Enqueue("-" + name);
            }
        }, options);
    }

    public string Name { get; }

    public ChildDefinition Definition { get; }

    public bool HasStarted => _starts.Reader.Count > 0;

    /// <summary>Waits for the next start that the test has not seen yet.</summary>
    public Task<ChildStart> NextAsync() => _starts.Reader.ReadAsync(TestContext.Current.CancellationToken).AsTask();
}

/// <summary>One start of a <see cref="TestChild"/>.</summary>
internal sealed class ChildStart(ChildContext context)
{
    private readonly TaskCompletionSource _end = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public ChildContext Context => context;

    /// <summary>Gets or sets whether it goes on when it is told to stop.</summary>
    public bool IgnoresToken { get; set; }

    public CancellationToken Token { get; private set; }

    public void Crash(string why = "told to") => _end.TrySetException(new InvalidOperationException(why));

    public void Throw(Exception error) => _end.TrySetException(error);

    public void Return() => _end.TrySetResult();

    public async Task RunAsync(CancellationToken token)
    {
        Token = token;
        var told = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var registration = token.Register(() => told.TrySetResult());
        if (await Task.WhenAny(_end.Task, told.Task) == told.Task && IgnoresToken) await _end.Task;
        token.ThrowIfCancellationRequested();
        await _end.Task;
    }
}
