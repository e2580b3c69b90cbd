using DistributedPatterns.Supervision;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace DistributedPatterns;

/// <summary>Starts again what ended by itself, replica by replica, by the <see cref="RestartPolicy"/> of the supervision pattern; then leaves it failed.</summary>
/// <remarks>
/// It uses the public API of either host, and neither restarts anything by itself. What a person stopped stays stopped: a
/// stop passes through the state Stopping, an accident does not.
/// </remarks>
internal sealed partial class Restarts(
    ResourceNotificationService notifications,
    ResourceCommandService commands,
    IHostApplicationLifetime lifetime,
    TimeProvider time,
    ILogger<Restarts> logger) : BackgroundService
{
    /// <summary>How often a replica is started again, and after which pauses: five times in a minute.</summary>
    internal static RestartPolicy Policy { get; } = new();

    private readonly Dictionary<string, Watched> _watched = [];

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var stopping = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken, lifetime.ApplicationStopping);
        try
        {
            await foreach (var change in notifications.WatchAsync(stopping.Token))
            {
                if (change.Resource is ProjectResource or RedisResource)
                {
                    await SeeAsync(change, stopping.Token);
                }
            }
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            // From here on everything ends because it shall.
        }
        finally
        {
            await Task.WhenAll(_watched.Values.Select(w => w.Restarting));
        }
    }

    private async Task SeeAsync(ResourceEvent change, CancellationToken stopping)
    {
        if (!_watched.TryGetValue(change.ResourceId, out var watched))
        {
            _watched.Add(change.ResourceId, watched = new(time));
        }

        var state = change.Snapshot.State?.Text;
        if (state == KnownResourceStates.Running)
        {
            if (watched.HasEnded || !watched.HasRun) watched.Backoff.Started();
            (watched.HasRun, watched.HasEnded, watched.IsStopping) = (true, false, false);
        }
        else if (state == KnownResourceStates.Stopping)
        {
            watched.IsStopping = true;
        }
        else if ((state == KnownResourceStates.Exited || state == KnownResourceStates.Finished) && !watched.HasEnded)
        {
            // A terminal state is told more than once; only the first of a run counts.
            watched.HasEnded = true;
            if (!watched.IsStopping)
            {
                await watched.Restarting;
                watched.Restarting = RestartAsync(change, watched, stopping);
            }
        }
    }

    private async Task RestartAsync(ResourceEvent ended, Watched watched, CancellationToken stopping)
    {
        try
        {
            while (watched.Budget.TrySpend())
            {
                var pause = watched.Backoff.Next();
                LogRestart(ended.ResourceId, ended.Snapshot.ExitCode, watched.Budget.Spent, Policy.MaxRestarts, Policy.Within, pause.TotalSeconds);
                await Task.Delay(pause, time, stopping);
                if (watched.IsStopping || !HasEnded(ended.ResourceId))
                {
                    // A person was faster.
                    return;
                }

                var result = await commands.ExecuteCommandAsync(ended.ResourceId, KnownResourceCommands.StartCommand, stopping);
                if (result.Success)
                {
                    return;
                }
            }
        }
        catch (OperationCanceledException)
        {
            // Stopped, by a person or with the application, before it was started again.
            return;
        }

        LogGivenUp(ended.ResourceId, Policy.MaxRestarts, Policy.Within);
        await notifications.PublishUpdateAsync(
            ended.Resource, ended.ResourceId, s => s with { State = new ResourceStateSnapshot(KnownResourceStates.FailedToStart, "error") });
    }

    private bool HasEnded(string resourceId) =>
        notifications.TryGetCurrentState(resourceId, out var now)
        && KnownResourceStates.TerminalStates.Contains(now.Snapshot.State?.Text);

    [LoggerMessage(1, LogLevel.Warning, "{ResourceId} ended with exit code {ExitCode}. Restart {Number} of {Limit} in {Window} follows after {Pause:0.0} s.")]
    private partial void LogRestart(string resourceId, int? exitCode, int number, int limit, TimeSpan window, double pause);

    [LoggerMessage(2, LogLevel.Error, "{ResourceId} ended again after {Limit} restarts in {Window} and stays down. See its log; its start command starts it.")]
    private partial void LogGivenUp(string resourceId, int limit, TimeSpan window);

    private sealed class Watched(TimeProvider time)
    {
        public RestartBudget Budget { get; } = new(Policy, time);

        public RestartBackoff Backoff { get; } = new(Policy, time);

        public bool HasRun { get; set; }

        public bool HasEnded { get; set; }

        public bool IsStopping { get; set; }

        public Task Restarting { get; set; } = Task.CompletedTask;
    }
}
