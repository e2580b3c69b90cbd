using System.Collections.Concurrent;
using Microsoft.Playwright;

namespace DistributedPatterns.Tests.Dashboard;

/// <summary>A real browser: the system's Chromium, or the one that <c>CHROMIUM</c> names.</summary>
internal sealed class Browser : IAsyncDisposable
{
    private readonly IPlaywright _playwright;
    private readonly IBrowser _browser;

    private Browser(IPlaywright playwright, IBrowser browser) => (_playwright, _browser) = (playwright, browser);

    /// <summary>Gets what pages wrote to their console as an error.</summary>
    public ConcurrentQueue<string> Errors { get; } = new();

    public static async Task<Browser> StartAsync()
    {
        var path = Environment.GetEnvironmentVariable("CHROMIUM") ?? "/usr/bin/chromium";
        if (!File.Exists(path))
        {
            Assert.SkipUnless(Environment.GetEnvironmentVariable("CI") is not null, $"There is no browser at '{path}'. Set CHROMIUM.");
            Assert.Fail($"There is no browser at '{path}'. Set CHROMIUM.");
        }

        // A page that is opened for the first time takes its time on a busy machine; what must come soon says so itself.
        Assertions.SetDefaultExpectTimeout(60_000);
        var playwright = await Playwright.CreateAsync();
        return new(playwright, await playwright.Chromium.LaunchAsync(new() { ExecutablePath = path, Args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"] }));
    }

    public async Task<IPage> OpenAsync(Uri address, int width = 1280, bool isDark = false)
    {
        var page = await _browser.NewPageAsync(new() { ViewportSize = new() { Width = width, Height = 900 }, ColorScheme = isDark ? ColorScheme.Dark : ColorScheme.Light });
        page.Console += (_, message) =>
        {
            if (message.Type is "error" or "warning") Errors.Enqueue(message.Text);
        };
        page.PageError += (_, error) => Errors.Enqueue(error);
        page.SetDefaultTimeout(60_000);
        await page.GotoAsync(address.ToString());
        return page;
    }

    public async ValueTask DisposeAsync()
    {
        await _browser.DisposeAsync();
        _playwright.Dispose();
    }
}
