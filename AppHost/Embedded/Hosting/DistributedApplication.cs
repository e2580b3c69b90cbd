using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Dashboard;
using Aspire.Hosting.Processes;
using Aspire.Hosting.Testing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Aspire.Hosting;

/// <summary>What stops an application from starting, in words for the person who started it.</summary>
public class DistributedApplicationException(string message) : Exception(message);

/// <summary>An application of several processes. Stopping it stops them all.</summary>
public class DistributedApplication : IHost, IAsyncDisposable
{
    private readonly IHost _host;
    private readonly AppHostInvocation? _invocation;
    private int _disposed;

    internal DistributedApplication(IHost host, AppHostInvocation? invocation) => (_host, _invocation) = (host, invocation);

    public static IDistributedApplicationBuilder CreateBuilder(string[] args) => new DistributedApplicationBuilder(args);

    public IServiceProvider Services => _host.Services;

    public ResourceNotificationService ResourceNotifications => Services.GetRequiredService<ResourceNotificationService>();

    public ResourceCommandService ResourceCommands => Services.GetRequiredService<ResourceCommandService>();

    /// <summary>Runs until Ctrl+C, SIGTERM or a failure. A failure is told on standard error and makes the exit code 1.</summary>
    public void Run() => RunAsync().GetAwaiter().GetResult();

    public async Task RunAsync(CancellationToken cancellationToken = default)
    {
        if (_invocation is not null)
        {
            // A test starts and stops the application; the entry point only has to stay.
            await _invocation.Stopped.WaitAsync(cancellationToken);
            return;
        }

        DistributedApplicationException? failure;
        try
        {
            await using (this)
            {
                var model = Services.GetRequiredService<Model>();
                await StartAsync(cancellationToken);
                await _host.WaitForShutdownAsync(cancellationToken);
                failure = model.Failure;
            }
        }
        catch (DistributedApplicationException refusal)
        {
            failure = refusal;
        }

        if (failure is not null)
        {
            await Console.Error.WriteLineAsync(failure.Message);
            Environment.ExitCode = 1;
        }
    }

    /// <summary>Takes the ports and starts to start the resources; it does not wait until they run.</summary>
    /// <exception cref="DistributedApplicationException">Something is missing, or a port is taken.</exception>
    public Task StartAsync(CancellationToken cancellationToken = default)
    {
        ConsoleOutput.Validate(Services.GetRequiredService<IConfiguration>());
        Services.GetRequiredService<DashboardHost>().Prepare();
        Services.GetRequiredService<Orchestrator>().Prepare();
        return _host.StartAsync(cancellationToken);
    }

    public Task StopAsync(CancellationToken cancellationToken = default) => _host.StopAsync(cancellationToken);

    public void Dispose()
    {
        DisposeAsync().AsTask().GetAwaiter().GetResult();
        GC.SuppressFinalize(this);
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        // Also after a start that failed half way: what did start must not stay.
        await _host.StopAsync(CancellationToken.None);
        await ((IAsyncDisposable)_host).DisposeAsync();
        if (_invocation is not null)
        {
            await _invocation.FinishAsync();
        }

        GC.SuppressFinalize(this);
    }
}
