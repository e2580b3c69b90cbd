using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Dashboard.Telemetry;
using Aspire.Hosting.Processes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using MudBlazor.Services;

namespace Aspire.Hosting.Dashboard;

/// <summary>Which dashboard a run has.</summary>
internal enum DashboardChoice
{
    /// <summary>This process serves it.</summary>
    Own,

    /// <summary>Telemetry goes to what somebody else runs.</summary>
    External,

    None,
}

/// <summary>Serves the dashboard from this process: the pages on one loopback port, the receiver of telemetry on another.</summary>
/// <remarks>
/// Both ports are taken before anything starts, so that children know where to send telemetry and a taken port ends the run
/// at once. The web application itself comes up beside the resources and delays none of them.
/// </remarks>
internal sealed partial class DashboardHost(
    Model model,
    ResourceNotificationService notifications,
    ResourceLoggerService logs,
    ResourceCommandService commands,
    IConfiguration configuration,
    ILoggerFactory loggers,
    TimeProvider time) : IHostedService, IAsyncDisposable
{
    /// <summary>The setting that chooses.</summary>
    public const string Choice = "Dashboard";

    private const string PagesKey = "ASPNETCORE_URLS";
    private const string OtlpKey = "ASPIRE_DASHBOARD_OTLP_ENDPOINT_URL";
    private const string OtlpSecretKey = "AppHost:OtlpApiKey";

    private static readonly TimeSpan s_stopLimit = TimeSpan.FromSeconds(1);

    private readonly ILogger _logger = loggers.CreateLogger<DashboardHost>();
    private readonly string _token = Secret(configuration["AppHost:BrowserToken"]);
    private readonly string _apiKey = Secret(configuration["AppHost:DashboardApiKey"]);
    private Socket? _pages;
    private Socket? _otlp;
    private WebApplication? _app;
    private Task _starting = Task.CompletedTask;

    /// <summary>Gets the address that logs a person in, or <see langword="null"/> if this process serves no dashboard.</summary>
    public string? LoginUrl => _pages is null ? null : $"http://localhost:{PortOf(_pages)}/login?t={_token}";

    /// <exception cref="DistributedApplicationException">The setting names nothing that is known.</exception>
    public static DashboardChoice ChoiceIn(IConfiguration configuration) => configuration[Choice]?.ToLowerInvariant() switch
    {
        null or "" or "own" => DashboardChoice.Own,
        "external" => DashboardChoice.External,
        "none" => DashboardChoice.None,
        _ => throw new DistributedApplicationException($"{Choice} is '{configuration[Choice]}'; it can be own, external or none. Without it, own is used."),
    };

    /// <summary>Takes the ports and tells the environment of children where telemetry goes.</summary>
    /// <exception cref="DistributedApplicationException">A setting is wrong, or a port is taken.</exception>
    public void Prepare()
    {
        if (ChoiceIn(configuration) != DashboardChoice.Own)
        {
            return;
        }

        _pages = Listen(PagesKey, "http://localhost:18888");
        _otlp = Listen(OtlpKey, "http://localhost:0");
        configuration[OtlpKey] = $"http://localhost:{PortOf(_otlp)}";
        configuration[OtlpSecretKey] = Secret(configuration[OtlpSecretKey]);
    }

    public Task StartAsync(CancellationToken cancellationToken)
    {
        if (_pages is not null && _otlp is not null)
        {
            _starting = Task.Run(() => ServeAsync(_pages, _otlp), CancellationToken.None);
        }

        return Task.CompletedTask;
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _starting;
        if (_app is not null)
        {
            await _app.StopAsync(cancellationToken);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_app is not null)
        {
            await _app.DisposeAsync();
        }

        _pages?.Dispose();
        _otlp?.Dispose();
    }

    private async Task ServeAsync(Socket pages, Socket otlp)
    {
        try
        {
            _app = Build(pages, otlp);
            await _app.StartAsync();
        }
        catch (Exception e)
        {
            // The system is worth having without its dashboard.
            LogFailed(e);
        }
    }

    private WebApplication Build(Socket pages, Socket otlp)
    {
        // Empty, as every setting in this process is meant for the AppHost and its children.
        var builder = WebApplication.CreateEmptyBuilder(new()
        {
            ApplicationName = typeof(DashboardHost).Assembly.GetName().Name,
            ContentRootPath = AppContext.BaseDirectory,
        });
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Listen(pages.LocalEndPoint!, endpoint => endpoint.Protocols = HttpProtocols.Http1);
            kestrel.Listen(otlp.LocalEndPoint!, endpoint => endpoint.Protocols = HttpProtocols.Http2);
        });
        builder.Logging.AddProvider(new ToAppHost(loggers)).SetMinimumLevel(LogLevel.Error);

        var services = builder.Services;
        services.Configure<SocketTransportOptions>(sockets => sockets.CreateBoundListenSocket = at => at.Equals(pages.LocalEndPoint) ? pages : otlp);
        services.Configure<HostOptions>(host => host.ShutdownTimeout = s_stopLimit);
        services.AddSingleton(model).AddSingleton(notifications).AddSingleton(logs).AddSingleton(commands).AddSingleton(time);
        services.AddSingleton<ProcessUsage>();
        services.AddLogin(PortOf(pages));
        services.AddMudServices().AddRazorComponents().AddInteractiveServerComponents();
        services.AddTelemetry();

        var app = builder.Build();
        app.UseLogin(PortOf(otlp));
        app.MapLogin(_token);
        app.MapAssets();
        app.MapConsoleDownload();
        app.MapTelemetry(configuration[OtlpSecretKey]!, _apiKey);
        app.MapRazorComponents<App>().AddInteractiveServerRenderMode(server => server.ContentSecurityFrameAncestorsPolicy = "'none'");
        return app;
    }

    private Socket Listen(string key, string unless)
    {
        var text = configuration[key] is { Length: > 0 } given ? given.Split(';')[0] : unless;
        if (!Uri.TryCreate(text, UriKind.Absolute, out var uri) || uri.Scheme != Uri.UriSchemeHttp || !uri.IsLoopback)
        {
            throw new DistributedApplicationException($"{key} is '{text}'; the dashboard can listen on http://localhost:PORT, with 0 for any free port.");
        }

        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Bind(new IPEndPoint(IPAddress.Loopback, uri.Port));
            socket.Listen();
            return socket;
        }
        catch (SocketException e)
        {
            socket.Dispose();
            throw new DistributedApplicationException($"""
                The dashboard cannot start: port {uri.Port} of {key} is taken ({e.Message}).
                Another run of this AppHost may still be there. Stop it, choose another port: --{key}=http://localhost:{uri.Port + 10}, or 0 for any free one, or go without: --{Choice}=none.
                """);
        }
    }

    private static int PortOf(Socket socket) => ((IPEndPoint)socket.LocalEndPoint!).Port;

    private static string Secret(string? given) => given is { Length: > 0 } ? given : RandomNumberGenerator.GetHexString(32, lowercase: true);

    [LoggerMessage(1, LogLevel.Error, "The dashboard could not start; the system runs without it.")]
    private partial void LogFailed(Exception error);

    /// <summary>Writes what the dashboard logs where the AppHost's own log goes.</summary>
    private sealed class ToAppHost(ILoggerFactory loggers) : ILoggerProvider
    {
        public ILogger CreateLogger(string categoryName) => loggers.CreateLogger(categoryName);

        public void Dispose()
        {
            // The factory is the AppHost's.
        }
    }
}
