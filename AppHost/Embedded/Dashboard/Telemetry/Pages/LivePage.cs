using System.Globalization;
using Microsoft.AspNetCore.Components;

namespace Aspire.Hosting.Dashboard.Telemetry.Pages;

/// <summary>A page that follows the store: once a second it reads anew, if something came and nobody paused it. Its filters are in its address.</summary>
public abstract class LivePage() : LiveComponent(TimeSpan.FromSeconds(1))
{
    private static readonly string[] s_colours = ["#1e88e5", "#e6771f", "#2e9d4f", "#8e5bd0", "#d1477a", "#00958d", "#a37a00", "#d64a3b", "#5c6bc0", "#6d8c22", "#b0559e", "#5f7d8c"];

    private long _seen;

    [Inject]
    private protected TelemetryStore Store { get; set; } = null!;

    [Inject]
    private protected NavigationManager Navigation { get; set; } = null!;

    /// <summary>Gets or sets the process, or all replicas of a name, that the page is about; all if <see langword="null"/>.</summary>
    [Parameter]
    public string? ResourceName { get; set; }

    protected bool IsPaused { get; set; }

    /// <summary>Reads what the page shows.</summary>
    protected abstract void Read();

    protected override void OnParametersSet() => Read();

    protected sealed override bool Refresh()
    {
        if (IsPaused || Store.Version is var version && version == _seen) return false;
        _seen = version;
        Read();
        return true;
    }

    /// <summary>Changes the address' query, and with it the page.</summary>
    protected void SetQuery(string name, string? value) =>
        Navigation.NavigateTo(Navigation.GetUriWithQueryParameter(name, string.IsNullOrEmpty(value) ? null : value), replace: true);

    protected static string Colour(int number) => s_colours[number % s_colours.Length];

    protected static string Clock(DateTimeOffset time) => time.ToLocalTime().ToString("HH:mm:ss.fff", CultureInfo.InvariantCulture);

    protected static string Text(TimeSpan duration) => duration switch
    {
        { TotalSeconds: >= 1 } => string.Create(CultureInfo.InvariantCulture, $"{duration.TotalSeconds:0.##} s"),
        { TotalMilliseconds: >= 1 } => string.Create(CultureInfo.InvariantCulture, $"{duration.TotalMilliseconds:0.##} ms"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{duration.TotalMicroseconds:0.#} µs"),
    };

    protected static string Percent(double share) => string.Create(CultureInfo.InvariantCulture, $"{100 * share:0.###}%");
}
