using System.Collections.Concurrent;
using System.Collections.Immutable;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Dashboard;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;

namespace Aspire.Hosting.Processes;

/// <summary>Shows a person what runs: a table once all is healthy, and what the replicas write, each line with its replica's id.</summary>
/// <remarks>
/// Only warnings, errors and plain lines by default, and of an exception what it says, not where: seven services' requests and
/// stack traces bury everything else. <c>Console:Logs=all</c> shows every line, <c>none</c> none.
/// </remarks>
internal sealed class ConsoleOutput(
    Model model,
    ResourceNotificationService notifications,
    ResourceLoggerService logs,
    DashboardHost dashboard,
    IConfiguration configuration,
    IHostApplicationLifetime lifetime,
    TimeProvider time) : BackgroundService
{
    private const string LogsKey = "Console:Logs";

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    private readonly ConcurrentDictionary<string, bool> _hides = new();
    private readonly string _shown = configuration[LogsKey] ?? "warnings";
    private readonly bool _keepColours = !Console.IsOutputRedirected;

    public static void Validate(IConfiguration configuration)
    {
        if (configuration[LogsKey] is not (null or "all" or "warnings" or "none"))
        {
            throw new DistributedApplicationException($"{LogsKey} is '{configuration[LogsKey]}'; it can be all, warnings or none.");
        }
    }

    public override Task StartAsync(CancellationToken cancellationToken)
    {
        logs.LineWritten += Write;
        lifetime.ApplicationStopping.Register(() => Console.WriteLine("Stopping: each service finishes its work before what it uses stops."));
        return base.StartAsync(cancellationToken);
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        logs.LineWritten -= Write;
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            await TellProgressAsync(stoppingToken);
        }
        catch (DistributedApplicationException)
        {
            // The start failed; Run tells why.
        }
    }

    private async Task TellProgressAsync(CancellationToken stoppingToken)
    {
        var started = time.GetTimestamp();
        using var patience = new CancellationTokenSource(s_patience, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, stoppingToken);
        ImmutableArray<ResourceEvent> healthy;
        try
        {
            healthy = await WaitUntilHealthyAsync(either.Token);
        }
        catch (OperationCanceledException) when (!stoppingToken.IsCancellationRequested)
        {
            Console.WriteLine($"""

                Not all healthy after {s_patience.TotalSeconds} s:
                {StatusTable.Render(notifications.Current)}
                {Login()}
                """);
            healthy = await WaitUntilHealthyAsync(stoppingToken);
        }

        Console.WriteLine($"""

            All healthy after {time.GetElapsedTime(started).TotalSeconds:0.0} s:
            {StatusTable.Render(healthy)}
            {Login()}Ctrl+C stops everything. Below: {_shown switch { "all" => "every line", "none" => "nothing", _ => "warnings and errors, without stack traces," }} of the services (--Console:Logs=all|warnings|none).

            """);
    }

    private string Login() => dashboard.LoginUrl is { } url ? $"Login to the dashboard at {url}{Environment.NewLine}" : "";

    /// <summary>Waits until all are healthy at one moment, and returns what they were then.</summary>
    private async Task<ImmutableArray<ResourceEvent>> WaitUntilHealthyAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            foreach (var resource in model.Resources.Where(r => r.IsProcess))
            {
                await notifications.WaitForResourceHealthyAsync(resource.Name, cancellationToken);
            }

            var now = notifications.Current;
            if (now.Where(e => ((Resource)e.Resource).IsProcess).All(e => e.Snapshot.HealthStatus == HealthStatus.Healthy))
            {
                return now;
            }
        }
    }

    private void Write(string resourceId, LogLine line)
    {
        if (_shown == "none" || (_shown == "warnings" && Hides(resourceId, line)))
        {
            return;
        }

        Console.WriteLine($"[{resourceId}] {(_keepColours ? line.Content : AnsiCodes.Strip(line.Content))}");
    }

    /// <summary>A level starts an entry of .NET's simple console log; an indented line belongs to the entry above it.</summary>
    private bool Hides(string resourceId, LogLine line)
    {
        var text = AnsiCodes.Strip(line.Content);
        if (StackTraces.IsPart(text))
        {
            return true;
        }

        if (text.StartsWith(' '))
        {
            return _hides.GetValueOrDefault(resourceId);
        }

        return _hides[resourceId] = !line.IsErrorMessage
            && (text.StartsWith("info: ", StringComparison.Ordinal)
                || text.StartsWith("dbug: ", StringComparison.Ordinal)
                || text.StartsWith("trce: ", StringComparison.Ordinal));
    }
}
