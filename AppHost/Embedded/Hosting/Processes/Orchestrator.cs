using System.Net.Sockets;
using Aspire.Hosting.ApplicationModel;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;

namespace Aspire.Hosting.Processes;

/// <summary>Runs the model: takes the public ports, starts every replica, obeys commands, and stops all in order.</summary>
internal sealed class Orchestrator(
    Model model,
    ResourceNotificationService notifications,
    ResourceLoggerService logs,
    IConfiguration configuration,
    IHostEnvironment environment,
    IHostApplicationLifetime lifetime,
    TimeProvider time) : IHostedService, IAsyncDisposable
{
    private const int LastLines = 20;

    private readonly Dictionary<EndpointAnnotation, TcpProxy> _proxies = [];
    private readonly List<Replica> _replicas = [];
    private readonly CancellationTokenSource _stopping = new();
    private readonly HealthProbe _probe = new(time);
    private Task _starting = Task.CompletedTask;
    private bool _disposed;

    /// <summary>Checks the model and takes its public ports. Apart from the start, which would log a refusal with its stack.</summary>
    /// <exception cref="DistributedApplicationException">The model cannot run, or a port that it asks for is taken.</exception>
    public void Prepare()
    {
        model.Validate();
        foreach (var resource in model.Resources)
        {
            resource.Endpoints.ForEach(endpoint => Listen(resource, endpoint));
        }
    }

    public Task StartAsync(CancellationToken cancellationToken)
    {
        var context = new ReplicaContext(
            notifications, logs, new(new(configuration, environment)), _probe, _proxies, time, OnExited);
        foreach (var resource in model.Resources)
        {
            if (resource.IsProcess)
            {
                _replicas.AddRange(Enumerable.Range(0, resource.Replicas).Select(_ => new Replica(resource, context)));
            }
            else
            {
                notifications.PublishUpdateAsync(resource, resource.Name, s => s with { State = KnownResourceStates.Running });
            }
        }

        _starting = StartAllAsync();
        return Task.CompletedTask;
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _stopping.CancelAsync();
        foreach (var group in model.StopOrder())
        {
            await Task.WhenAll(_replicas.Where(r => group.Contains(r.Resource)).Select(r => r.StopAsync()));
        }

        await _starting;
    }

    public async Task<ExecuteCommandResult> ExecuteAsync(string resourceId, string command)
    {
        if (_replicas.Find(r => string.Equals(r.Id, resourceId, StringComparison.OrdinalIgnoreCase)) is not { } replica)
        {
            return new() { Success = false, Message = $"Resource '{resourceId}' has no process." };
        }

        if (_stopping.IsCancellationRequested)
        {
            return new() { Success = false, Message = "The application is stopping." };
        }

        try
        {
            switch (command)
            {
                case "start":
                    await replica.StartAsync(_stopping.Token);
                    break;
                case "stop":
                    await replica.StopAsync();
                    break;
                case "restart":
                    await replica.StopAsync();
                    await replica.StartAsync(_stopping.Token);
                    break;
                default:
                    return new() { Success = false, Message = $"Command '{command}' not available for resource '{resourceId}'." };
            }
        }
        catch (OperationCanceledException)
        {
            return new() { Success = false, Message = $"'{resourceId}' was stopped before it had started." };
        }

        return new() { Success = true };
    }

    public async ValueTask DisposeAsync()
    {
        // The container knows this object twice, as itself and as a hosted service.
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        foreach (var replica in _replicas)
        {
            await replica.DisposeAsync();
        }

        foreach (var proxy in _proxies.Values)
        {
            await proxy.DisposeAsync();
        }

        _probe.Dispose();
        _stopping.Dispose();
    }

    private void Listen(Resource resource, EndpointAnnotation endpoint)
    {
        if (!endpoint.IsProxied)
        {
            endpoint.AllocatedPort = endpoint.Port;
            return;
        }

        var port = model.RandomizePorts ? 0 : endpoint.Port ?? 0;
        try
        {
            var proxy = new TcpProxy(port);
            endpoint.AllocatedPort = proxy.Port;
            _proxies.Add(endpoint, proxy);
        }
        catch (SocketException e)
        {
            var setting = $"{char.ToUpperInvariant(resource.Name[0])}{resource.Name[1..]}:Port";
            throw new DistributedApplicationException($"""
                Resource '{resource.Name}' cannot start: port {port} of its endpoint '{endpoint.Name}' is taken ({e.Message}).
                Another run of this AppHost may still be there. Stop it, or choose another port: --{setting}={port + 10}, or 0 for any free one.
                """);
        }
    }

    private async Task StartAllAsync()
    {
        try
        {
            await Task.WhenAll(_replicas.Select(r => r.StartAsync(_stopping.Token)));
        }
        catch (OperationCanceledException)
        {
            // Stopped before all were started.
        }
    }

    /// <summary>
    /// Once a resource has been healthy, an exit is an incident, for whoever watches to repair. Before that it is a mistake
    /// in the program or its settings, and going on without it would only hide the message.
    /// </summary>
    private void OnExited(Replica replica, int? exitCode)
    {
        if (_stopping.IsCancellationRequested || replica.Resource.HasBeenHealthy
            || _replicas.Exists(r => r.Resource == replica.Resource && r.IsAlive))
        {
            return;
        }

        var lines = logs.Tail(replica.Id, int.MaxValue).Select(l => AnsiCodes.Strip(l.Content))
            .Where(l => !StackTraces.IsPart(l)).TakeLast(LastLines).Select(l => "  " + l);
        var end = exitCode is null ? "could not be started" : $"ended with exit code {exitCode} before it was ever healthy";
        var failure = new DistributedApplicationException(string.Join(
            Environment.NewLine, [$"Resource '{replica.Resource.Name}' failed to start: {replica.Id} {end}. Its last lines:", .. lines]));
        model.Failure ??= failure;
        notifications.Fail(failure);
        lifetime.StopApplication();
    }
}
