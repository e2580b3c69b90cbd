using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Supervision;

/// <summary>Runs the supervisor with the host, and says what did not stop with it.</summary>
internal sealed partial class TaskSupervisorHost(
    TaskSupervisor supervisor, IOptions<TaskSupervisorOptions> options, IHostApplicationLifetime application, ILogger<TaskSupervisorHost> logger) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await Task.Yield();
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                Tell(await supervisor.RunAsync(stoppingToken).ConfigureAwait(false));
            }
            catch (SupervisorEscalatedException escalated)
            {
                LogEscalated(escalated.Reason);
                Tell(escalated.Report!);
                if (options.Value.WhenEscalated == EscalationPolicy.StopHost)
                {
                    Environment.ExitCode = 1;
                    application.ApplicationStarted.Register(application.StopApplication); // a host that is stopped while it starts throws
                    return;
                }
                await supervisor.WhenResetAsync(stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private void Tell(StopReport report)
    {
        foreach (var child in report.NotStopped) LogNotStopped(child.Name, child.Epoch, child.Limit);
    }

    [LoggerMessage(LogLevel.Error, "The supervisor has given up and stopped its children: {Reason}")]
    private partial void LogEscalated(string reason);

    [LoggerMessage(LogLevel.Warning, "Child {Child} (epoch {Epoch}) did not stop within {Limit}")]
    private partial void LogNotStopped(string child, long epoch, TimeSpan limit);
}
