using System.Text.RegularExpressions;
using Microsoft.Playwright;

namespace DistributedPatterns.Tests.Dashboard;

/// <summary>One running system with its dashboard, and a browser that is logged in. Shared by every test of its class.</summary>
public sealed partial class DashboardSystem : IAsyncLifetime
{
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(3);

    private MachineLock? _machine;
    private Browser? _browser;
    private AppHostProcess? _host;

    internal Browser Browser => _browser!;

    internal AppHostProcess Host => _host!;

    /// <summary>Gets the dashboard's address with the token, as the AppHost printed it.</summary>
    public Uri LoginUrl { get; private set; } = null!;

    public Uri Address => new(LoginUrl, "/");

    /// <summary>Gets the gateway's public address, as the AppHost printed it.</summary>
    public Uri Gateway => _host!.Url("gateway");

    public async ValueTask InitializeAsync()
    {
        _browser = await Browser.StartAsync();
        _machine = await MachineLock.TakeAsync(TestContext.Current.CancellationToken); // which takes as long as the other suite does
        using var limit = RunningSystem.Limit(s_limit);
        _host = new("--Gateway:Port=0");
        await _host.HealthyAsync(limit.Token);
        LoginUrl = new(Login().Match(_host.Output).Groups[1].Value);
    }

    /// <summary>Opens a page as a person does who follows the link in the console.</summary>
    public Task<IPage> OpenAsync(string path, int width = 1280, bool isDark = false) =>
        Browser.OpenAsync(new($"{LoginUrl}&returnUrl={Uri.EscapeDataString(path)}"), width, isDark);

    public async ValueTask DisposeAsync()
    {
        if (_host is not null)
        {
            using var limit = RunningSystem.Limit(s_limit);
            if (!OperatingSystem.IsWindows()) await _host.StopAsync(limit.Token); // with its services, before another suite has the machine
            await _host.DisposeAsync();
        }

        if (_browser is not null) await _browser.DisposeAsync();
        if (_machine is not null) await _machine.DisposeAsync();
    }

    [GeneratedRegex(@"Login to the dashboard at (http://localhost:\d+/login\?t=[0-9a-f]{32})\s")]
    private static partial Regex Login();
}
