using System.Collections.Concurrent;
using Microsoft.Extensions.Hosting.Internal;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace DistributedPatterns.Tests;

public sealed class RestartsTests : IAsyncLifetime
{
    private static readonly TimeSpan s_step = TimeSpan.FromMilliseconds(20);

    private readonly CancellationTokenSource _limit = RunningSystem.Limit(TimeSpan.FromSeconds(60));
    private readonly Clock _time = new();
    private readonly ApplicationLifetime _lifetime = new(NullLogger<ApplicationLifetime>.Instance);
    private readonly ResourceNotificationService _notifications = new();
    private readonly ConcurrentQueue<string> _started = new();
    private readonly IResource _worker =
        DistributedApplication.CreateBuilder([]).AddProject<Metadata>("worker", o => o.ExcludeLaunchProfile = true).Resource;
    private readonly Restarts _restarts;
    private bool _startedOnesEndAgain;

    public RestartsTests()
    {
        var commands = new ResourceCommandService(_notifications, StartAsync);
        _restarts = new(_notifications, commands, _lifetime, _time, NullLogger<Restarts>.Instance);
    }

    public async ValueTask InitializeAsync()
    {
        await _restarts.StartAsync(TestContext.Current.CancellationToken);

        // Only a first restart proves that it watches by now; a start runs in the background.
        await TellAsync("worker-first", KnownResourceStates.Exited);
        await UntilAsync(() => _started.Contains("worker-first"));
        _started.Clear();
    }

    public async ValueTask DisposeAsync()
    {
        await _restarts.StopAsync(CancellationToken.None);
        _restarts.Dispose();
        _limit.Dispose();
    }

    [Fact]
    public async Task Exit_ByAccident_IsStartedAgain()
    {
        await TellAsync("worker-a", KnownResourceStates.Running, KnownResourceStates.Exited);

        await UntilAsync(() => _started.Contains("worker-a"));
    }

    [Fact]
    public async Task Exit_AfterAStopCommand_StaysStopped()
    {
        await TellAsync("worker-a", KnownResourceStates.Running, KnownResourceStates.Stopping, KnownResourceStates.Exited);
        await TellAsync("worker-b", KnownResourceStates.Running, KnownResourceStates.Exited);

        await UntilAsync(() => _started.Contains("worker-b"));

        Assert.Equal(["worker-b"], _started);
    }

    [Fact]
    public async Task Exit_AfterEveryRestart_IsLeftFailedOnceTheBudgetIsSpent()
    {
        _startedOnesEndAgain = true;
        await TellAsync("worker-a", KnownResourceStates.Running, KnownResourceStates.Exited);

        await UntilAsync(() => State("worker-a") == KnownResourceStates.FailedToStart);

        Assert.Equal(Restarts.Policy.MaxRestarts, _started.Count);
    }

    [Fact]
    public async Task Exit_DuringShutdown_IsNotStartedAgain()
    {
        _lifetime.StopApplication();
        await TellAsync("worker-a", KnownResourceStates.Running, KnownResourceStates.Exited);

        await _restarts.ExecuteTask!.WaitAsync(_limit.Token);

        Assert.Empty(_started);
    }

    private async Task<ExecuteCommandResult> StartAsync(string resourceId, string command)
    {
        _started.Enqueue(resourceId);
        await TellAsync(resourceId, KnownResourceStates.Running);
        if (_startedOnesEndAgain)
        {
            await TellAsync(resourceId, KnownResourceStates.Exited);
        }

        return new() { Success = true };
    }

    private async Task TellAsync(string resourceId, params string[] states)
    {
        foreach (var state in states)
        {
            await _notifications.PublishUpdateAsync(_worker, resourceId, s => s with { State = state, ExitCode = 1 });
        }
    }

    private string? State(string resourceId) =>
        _notifications.TryGetCurrentState(resourceId, out var now) ? now.Snapshot.State?.Text : null;

    /// <summary>Lets the fake clock run, while somebody waits for it, until something holds.</summary>
    private async Task UntilAsync(Func<bool> holds)
    {
        while (!holds())
        {
            if (_time.IsAwaited) _time.Advance(s_step);
            await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System, _limit.Token);
        }
    }

    private sealed class Clock : FakeTimeProvider
    {
        private int _timers;

        public bool IsAwaited => Volatile.Read(ref _timers) > 0;

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            var timer = base.CreateTimer(s => { Interlocked.Decrement(ref _timers); callback(s); }, state, dueTime, period);
            Interlocked.Increment(ref _timers);
            return timer;
        }
    }

    private sealed class Metadata : IProjectMetadata
    {
        public string ProjectPath => "/nowhere/Worker.csproj";

        public string AssemblyPath => "/nowhere/Worker.dll";
    }
}
