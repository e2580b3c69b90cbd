using System.Reflection;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Dashboard;
using Aspire.Hosting.Processes;
using Aspire.Hosting.Testing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;

namespace Aspire.Hosting;

public interface IDistributedApplicationBuilder
{
    ConfigurationManager Configuration { get; }

    string AppHostDirectory { get; }

    IHostEnvironment Environment { get; }

    IServiceCollection Services { get; }

    IResourceBuilder<T> AddResource<T>(T resource) where T : IResource;

    DistributedApplication Build();
}

internal sealed class DistributedApplicationBuilder : IDistributedApplicationBuilder
{
    private readonly HostApplicationBuilder _host;
    private readonly AppHostInvocation? _invocation = AppHostInvocation.Current;

    public DistributedApplicationBuilder(string[] args)
    {
        var assembly = _invocation?.AppHost ?? Assembly.GetEntryAssembly()!;
        AppHostDirectory = ProjectDirectory(assembly);
        _host = Host.CreateApplicationBuilder(new HostApplicationBuilderSettings
        {
            Args = args,
            ContentRootPath = AppHostDirectory,
            // An AppHost is a tool of development: its services are in Development too, unless somebody says otherwise.
            EnvironmentName = System.Environment.GetEnvironmentVariable("DOTNET_ENVIRONMENT")
                ?? System.Environment.GetEnvironmentVariable("ASPNETCORE_ENVIRONMENT")
                ?? Environments.Development,
        });
        _host.Logging.AddSimpleConsole(console => (console.SingleLine, console.ColorBehavior) = (true, LoggerColorBehavior.Default));
        _host.Logging.AddFilter("Microsoft.Hosting.Lifetime", LogLevel.Warning);

        // Every child has a limit of its own and is killed past it; a second limit here would only orphan the later ones.
        Services.Configure<HostOptions>(options => options.ShutdownTimeout = Timeout.InfiniteTimeSpan);
        Services.TryAddSingleton(TimeProvider.System);
        Services.AddSingleton(Model);
        Services.AddSingleton(_ => new ResourceNotificationService());
        Services.AddSingleton(services => new ResourceLoggerService(services.GetRequiredService<TimeProvider>()));
        Services.AddSingleton<Orchestrator>();
        Services.AddSingleton(services => new ResourceCommandService(
            services.GetRequiredService<ResourceNotificationService>(), services.GetRequiredService<Orchestrator>().ExecuteAsync));
        // Before the orchestrator, so that it stops after it: services send their last telemetry while they stop.
        Services.AddSingleton<DashboardHost>();
        Services.AddHostedService(services => services.GetRequiredService<DashboardHost>());
        Services.AddHostedService(services => services.GetRequiredService<Orchestrator>());
        Services.AddHostedService<ConsoleOutput>();
        if (_invocation is not null)
        {
            Model.RandomizePorts = true;
            Configuration[DashboardHost.Choice] ??= "none";
        }
    }

    public ConfigurationManager Configuration => _host.Configuration;

    public string AppHostDirectory { get; }

    public IHostEnvironment Environment => _host.Environment;

    public IServiceCollection Services => _host.Services;

    public Model Model { get; } = new();

    public IResourceBuilder<T> AddResource<T>(T resource) where T : IResource
    {
        Model.Add((Resource)(object)resource);
        return new ResourceBuilder<T>(this, resource);
    }

    public DistributedApplication Build()
    {
        _invocation?.WaitForBuild(this);
        var application = new DistributedApplication(_host.Build(), _invocation);
        _invocation?.Built(application);
        return application;
    }

    /// <summary>The project's folder is built into <c>Projects.{AppHost}</c>; an assembly that was moved still has its own.</summary>
    private static string ProjectDirectory(Assembly assembly)
    {
        var project = assembly.GetType($"Projects.{assembly.GetName().Name}")?.GetProperty("ProjectPath")?.GetValue(null) as string;
        return Directory.Exists(project) ? project : AppContext.BaseDirectory;
    }
}
