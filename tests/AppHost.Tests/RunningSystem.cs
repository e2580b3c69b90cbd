using System.Diagnostics;
using System.Globalization;
using Microsoft.Extensions.DependencyInjection;
using Xunit.Sdk;
using Xunit.v3;

// Two cores do not carry two systems, and a test that kills processes wants no neighbour.
[assembly: Parallelization(Mode = ParallelMode.None)]

namespace DistributedPatterns.Tests;

/// <summary>The whole system, once for all tests of a class, on free ports.</summary>
public class RunningSystem : IAsyncLifetime
{
    private static readonly TimeSpan s_startLimit = TimeSpan.FromMinutes(3);

    private MachineLock? _lock;
    private IDistributedApplicationTestingBuilder? _builder;
    private DistributedApplication? _app;

    /// <summary>Gets what the services' environment has besides, which is how a person sets what the AppHost has no setting for.</summary>
    protected virtual IReadOnlyDictionary<string, string> Settings { get; } = new Dictionary<string, string>();

    /// <summary>Gets the AppHost's folder; the data of its runs lie in it.</summary>
    public string AppHostDirectory => _builder?.AppHostDirectory ?? throw new InvalidOperationException("The system has not been started.");

    public static IReadOnlyDictionary<string, int> Replicas { get; } =
        new Dictionary<string, int> { ["redis-server"] = 1, ["producer"] = 1, ["worker"] = 3, ["reducer"] = 2, ["gateway"] = 1 };

    public DistributedApplication App => _app ?? throw new InvalidOperationException("The system has not been started.");

    public async ValueTask InitializeAsync()
    {
        _lock = await MachineLock.TakeAsync(TestContext.Current.CancellationToken);
        foreach (var (name, value) in Settings) Environment.SetEnvironmentVariable(name, value);
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
        GC.SuppressFinalize(this);
        foreach (var name in Settings.Keys) Environment.SetEnvironmentVariable(name, null);
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

    public static CancellationTokenSource Limit(TimeSpan limit) => new(limit, TimeProvider.System);

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

    /// <summary>Gets every replica of a resource as it is at this moment.</summary>
    public async Task<IReadOnlyDictionary<string, ResourceEvent>> PresentReplicasAsync(string name)
    {
        var seen = new Dictionary<string, ResourceEvent>();
        // A watch begins with all present states, so it ends at the last replica's first.
        await foreach (var change in App.ResourceNotifications.WatchAsync(TestContext.Current.CancellationToken))
        {
            if (change.Resource.Name == name && seen.TryAdd(change.ResourceId, change) && seen.Count == Replicas[name])
            {
                break;
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

    /// <summary>Kills a replica (SIGKILL). On Aspire its process is <c>dotnet run</c>, with the service below it.</summary>
    public static void Kill(ResourceEvent replica)
    {
        using var process = Process.GetProcessById(Pid(replica));
        process.Kill(entireProcessTree: true);
    }

    /// <summary>Freezes a replica: its sockets stay open and nothing answers. Not on Windows.</summary>
    public static Task FreezeAsync(ResourceEvent replica) => SignalAsync(Pid(replica), "STOP");

    public static Task ThawAsync(ResourceEvent replica) => SignalAsync(Pid(replica), "CONT");

    private static async Task SignalAsync(int pid, string signal)
    {
        using var kill = Process.Start("kill", [$"-{signal}", pid.ToString(CultureInfo.InvariantCulture)]);
        await kill.WaitForExitAsync();
        Assert.Equal(0, kill.ExitCode);
    }

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
