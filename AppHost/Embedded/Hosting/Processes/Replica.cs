using System.Collections.Immutable;
using System.ComponentModel;
using System.Security.Cryptography;
using Aspire.Hosting.ApplicationModel;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Aspire.Hosting.Processes;

/// <summary>One of a resource's processes, over all its starts: the id stays, the process and its ports change.</summary>
internal sealed class Replica : IAsyncDisposable
{
    /// <summary>The property that counts the starts after the first, whoever asked for them.</summary>
    public const string Restarts = "restarts";

    private static readonly TimeSpan s_stopLimit = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_checkWhileUnhealthy = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan s_checkWhileHealthy = TimeSpan.FromSeconds(5);

    private readonly ReplicaContext _context;
    private readonly string _instanceId = RandomNumberGenerator.GetString("abcdefghijklmnopqrstuvwxyz", 8);

    /// <summary>One start or stop at a time.</summary>
    private readonly SemaphoreSlim _turn = new(1, 1);
    private readonly Lock _lock = new();
    private CancellationTokenSource _starting = new();
    private ChildProcess? _child;
    private int _starts;
    private Task _watching = Task.CompletedTask;

    public Replica(Resource resource, ReplicaContext context)
    {
        (Resource, _context) = (resource, context);
        Id = $"{resource.Name}-{_instanceId}";
        Publish(s => s with { State = KnownResourceStates.NotStarted, Urls = Urls() });
    }

    public Resource Resource { get; }

    public string Id { get; }

    /// <summary>Gets whether a process runs or is about to.</summary>
    public bool IsAlive { get; private set; }

    /// <summary>Waits for what the resource waits for, then starts a process unless one runs.</summary>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        CancellationToken stopped;
        lock (_lock)
        {
            if (_starting.IsCancellationRequested)
            {
                _starting = new();
            }

            stopped = _starting.Token;
        }

        using var either = CancellationTokenSource.CreateLinkedTokenSource(stopped, cancellationToken);
        await _turn.WaitAsync(either.Token);
        try
        {
            if (IsAlive)
            {
                return;
            }

            await _watching;
            await LaunchAsync(either.Token);
        }
        catch (OperationCanceledException)
        {
            IsAlive = false;
            Publish(s => s with { State = KnownResourceStates.Exited });
            throw;
        }
        catch (Exception e) when (e is Win32Exception or DistributedApplicationException)
        {
            IsAlive = false;
            _context.Logs.Write(Id, e.Message, isError: true);
            Publish(s => s with { State = KnownResourceStates.FailedToStart });
            _context.OnExited(this, null);
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>Stops the process and waits for its end; a start that still waits is given up.</summary>
    public async Task StopAsync()
    {
        PublishStopping();
        lock (_lock)
        {
            _starting.Cancel();
        }

        await _turn.WaitAsync(CancellationToken.None);
        try
        {
            // Again, as a start that was past its waiting has said Running meanwhile.
            PublishStopping();
            if (_child is { Exited.IsCompleted: false } child && await child.StopAsync(s_stopLimit) == StopOutcome.Killed)
            {
                _context.Logs.Write(Id, $"Killed: it had not stopped {s_stopLimit.TotalSeconds} s after it was asked to.", isError: true);
            }

            await _watching;
        }
        finally
        {
            _turn.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _child?.Dispose();
        _starting.Dispose();
        _turn.Dispose();
    }

    private async Task LaunchAsync(CancellationToken cancellationToken)
    {
        IsAlive = true;
        if (Resource.WaitsFor.Exists(dependency => !_context.Notifications.AllHealthy(dependency.Name)))
        {
            Publish(s => s with { State = KnownResourceStates.Waiting });
            foreach (var dependency in Resource.WaitsFor)
            {
                await _context.Notifications.WaitForResourceHealthyAsync(dependency.Name, cancellationToken);
            }
        }

        Publish(s => s with { State = KnownResourceStates.Starting, ExitCode = null, StopTimeStamp = null });
        var ports = Resource.Endpoints.ToDictionary(e => e.Name, e => e.IsProxied ? Ports.Free() : e.AllocatedPort!.Value);
        var start = await _context.Launch.PrepareAsync(Resource, _instanceId, ports, cancellationToken);
        _child?.Dispose();
        _child = new(start, (line, isError) => _context.Logs.Write(Id, line, isError), _context.Time);
        var child = _child;
        Publish(s => s with
        {
            State = KnownResourceStates.Running,
            StartTimeStamp = _context.Time.GetUtcNow().UtcDateTime,
            HealthReports = [.. Resource.HealthChecks.Select(c => new HealthReportSnapshot(c.Key, null, null, null))],
            Properties = [new("executable.path", start.FileName), new("executable.pid", child.Id), new("executable.workDir", start.WorkingDirectory), new(Restarts, _starts++)],
            EnvironmentVariables = [.. start.Environment.OrderBy(v => v.Key, StringComparer.Ordinal)
                .Select(v => new EnvironmentVariableSnapshot(v.Key, v.Value, Environment.GetEnvironmentVariable(v.Key) != v.Value))],
        });
        Resource.HasBeenHealthy |= Resource.HealthChecks.Count == 0;
        _watching = WatchAsync(child, ports);
    }

    private async Task WatchAsync(ChildProcess child, Dictionary<string, int> ports)
    {
        var proxies = Resource.Endpoints.FindAll(e => e.IsProxied).ConvertAll(e => (Proxy: _context.Proxies[e], Target: ports[e.Name]));
        proxies.ForEach(p => p.Proxy.Add(p.Target));
        using var ended = new CancellationTokenSource();
        var checking = CheckAsync(child, ports, ended.Token);
        var code = await child.Exited;
        await ended.CancelAsync();
        await checking;
        proxies.ForEach(p => p.Proxy.Remove(p.Target));
        IsAlive = false;

        // First, as it may end the run: who restarts what has exited must know of that.
        _context.OnExited(this, code);

        // As Aspire tells it: finished by itself, or exited because something ended it.
        Publish(s => s with
        {
            State = code == 0 && s.State?.Text != KnownResourceStates.Stopping ? KnownResourceStates.Finished : KnownResourceStates.Exited,
            ExitCode = code,
            StopTimeStamp = _context.Time.GetUtcNow().UtcDateTime,
            HealthReports = [],
        });
    }

    private async Task CheckAsync(ChildProcess child, Dictionary<string, int> ports, CancellationToken ended)
    {
        try
        {
            while (Resource.HealthChecks.Count > 0)
            {
                var reports = await Task.WhenAll(Resource.HealthChecks.Select(c => _context.Probe.CheckAsync(Resource, c, ports, ended)));
                if (child.Exited.IsCompleted)
                {
                    return;
                }

                var healthy = reports.All(r => r.Status == HealthStatus.Healthy);
                Resource.HasBeenHealthy |= healthy;
                PublishHealth([.. reports]);
                await Task.Delay(healthy ? s_checkWhileHealthy : s_checkWhileUnhealthy, _context.Time, ended);
            }
        }
        catch (OperationCanceledException)
        {
            // The process ended, and its health with it.
        }
    }

    private void PublishHealth(ImmutableArray<HealthReportSnapshot> reports)
    {
        if (_context.Notifications.TryGetCurrentState(Id, out var now) && !now.Snapshot.HealthReports.SequenceEqual(reports))
        {
            Publish(s => s with { HealthReports = reports });
        }
    }

    private ImmutableArray<UrlSnapshot> Urls() =>
        [.. Resource.Endpoints.Select(e => new UrlSnapshot(e.Name, new EndpointReference(Resource, e.Name).Url, IsInternal: !e.IsExternal))];

    private void PublishStopping()
    {
        if (IsAlive)
        {
            Publish(s => s with { State = KnownResourceStates.Stopping });
        }
    }

    private void Publish(Func<CustomResourceSnapshot, CustomResourceSnapshot> change) =>
        _context.Notifications.PublishUpdateAsync(Resource, Id, change);
}

/// <summary>What every replica works with.</summary>
/// <param name="Notifications">Where its state is told.</param>
/// <param name="Logs">Where its lines go.</param>
/// <param name="Launch">How it is started.</param>
/// <param name="Probe">How its health is asked.</param>
/// <param name="Proxies">The public side of each endpoint.</param>
/// <param name="Time">The clock of its limits.</param>
/// <param name="OnExited">Called after each end of a process, with its exit code if it ever ran.</param>
internal sealed record ReplicaContext(
    ResourceNotificationService Notifications,
    ResourceLoggerService Logs,
    Launch Launch,
    HealthProbe Probe,
    IReadOnlyDictionary<EndpointAnnotation, TcpProxy> Proxies,
    TimeProvider Time,
    Action<Replica, int?> OnExited);
