using System.Globalization;
using Microsoft.Extensions.DependencyInjection;
using Xunit.Sdk;
using Xunit.v3;

// Two cores do not carry two systems, and a test that kills processes wants no neighbour.
[assembly: Parallelization(Mode = ParallelMode.None)]

namespace DistributedPatterns.Tests;

/// <summary>The whole system, once for all tests of a class, on free ports.</summary>
public sealed class RunningSystem : IAsyncLifetime
{
    private static readonly TimeSpan s_startLimit = TimeSpan.FromSeconds(60);

    private MachineLock? _lock;
    private IDistributedApplicationTestingBuilder? _builder;
    private DistributedApplication? _app;

    public static IReadOnlyDictionary<string, int> Replicas { get; } =
        new Dictionary<string, int> { ["redis-server"] = 1, ["producer"] = 1, ["worker"] = 3, ["reducer"] = 2, ["gateway"] = 1 };

    public DistributedApplication App => _app ?? throw new InvalidOperationException("The system has not been started.");

    public async ValueTask InitializeAsync()
    {
        _lock = await MachineLock.TakeAsync(TestContext.Current.CancellationToken);
        _builder = await DistributedApplicationTestingBuilder.CreateAsync<Projects.AppHost>([], TestContext.Current.CancellationToken);
        _app = await _builder.BuildAsync(TestContext.Current.CancellationToken);
        try
        {
            using var limit = Limit(s_startLimit);
            await _app.StartAsync(limit.Token);
            foreach (var name in Replicas.Keys)
            {
                await _app.ResourceNotifications.WaitForResourceHealthyAsync(name, limit.Token);
            }
        }
        catch
        {
            await WriteLogsAsync(line => TestContext.Current.SendDiagnosticMessage(line));
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_app is not null)
        {
            await _app.DisposeAsync();
        }

        if (_builder is not null)
        {
            await _builder.DisposeAsync();
        }

        if (_lock is not null)
        {
            await _lock.DisposeAsync();
        }
    }

    public static CancellationTokenSource Limit(TimeSpan limit)
    {
        var source = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        var timer = new CancellationTokenSource(limit, TimeProvider.System);
        timer.Token.Register(source.Cancel);
        return source;
    }

    /// <summary>Gets every replica of a resource, once all of them are healthy.</summary>
    public async Task<IReadOnlyDictionary<string, ResourceEvent>> HealthyReplicasAsync(string name, CancellationToken cancellationToken)
    {
        var seen = new Dictionary<string, ResourceEvent>();
        await foreach (var change in App.ResourceNotifications.WatchAsync(cancellationToken))
        {
            if (change.Resource.Name == name)
            {
                seen[change.ResourceId] = change;
                if (seen.Count == Replicas[name] && seen.Values.All(IsHealthy))
                {
                    break;
                }
            }
        }

        return seen;
    }

    public Task<ResourceEvent> WaitAsync(string resourceId, Func<ResourceEvent, bool> condition, CancellationToken cancellationToken) =>
        App.ResourceNotifications.WaitForResourceAsync(
            resourceId[..resourceId.LastIndexOf('-')], e => e.ResourceId == resourceId && condition(e), cancellationToken);

    public static bool IsHealthy(ResourceEvent e) =>
        e.Snapshot.HealthStatus == Microsoft.Extensions.Diagnostics.HealthChecks.HealthStatus.Healthy;

    public static int Pid(ResourceEvent e) =>
        Convert.ToInt32(e.Snapshot.Properties.First(p => p.Name == "executable.pid").Value, CultureInfo.InvariantCulture);

    /// <summary>Writes what every replica wrote, and its state.</summary>
    public async Task WriteLogsAsync(Action<string> write)
    {
        var logs = App.Services.GetRequiredService<ResourceLoggerService>();
        using var moment = Limit(TimeSpan.FromMilliseconds(500));
        var latest = new Dictionary<string, ResourceEvent>();
        try
        {
            await foreach (var change in App.ResourceNotifications.WatchAsync(moment.Token))
            {
                latest[change.ResourceId] = change;
            }
        }
        catch (OperationCanceledException)
        {
            // A watch goes on for ever; its first moment tells all present states.
        }

        foreach (var (id, change) in latest)
        {
            write($"===== {id}: {change.Snapshot.State?.Text}, {change.Snapshot.HealthStatus}, exit code {change.Snapshot.ExitCode}");
            await foreach (var lines in logs.GetAllAsync(id))
            {
                foreach (var line in lines)
                {
                    write(line.Content);
                }
            }
        }
    }
}
