using System.Globalization;
using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting.Processes;

/// <summary>Draws the replicas with their states and addresses.</summary>
internal static class StatusTable
{
    public static string Render(IEnumerable<ResourceEvent> resources)
    {
        string[] header = ["RESOURCE", "STATE", "HEALTH", "PID", "URLS"];
        var rows = resources.Where(e => ((Resource)e.Resource).IsProcess).Select(Row).Prepend(header).ToList();
        var widths = Enumerable.Range(0, header.Length).Select(column => rows.Max(row => row[column].Length)).ToArray();
        return string.Join(
            Environment.NewLine,
            rows.Select(row => "  " + string.Join("  ", row.Select((cell, column) => cell.PadRight(widths[column]))).TrimEnd()));
    }

    private static string[] Row(ResourceEvent e) =>
    [
        e.ResourceId,
        e.Snapshot.State?.Text ?? "",
        Health(e.Snapshot),
        string.Create(CultureInfo.InvariantCulture, $"{e.Snapshot.Properties.FirstOrDefault(p => p.Name == "executable.pid")?.Value}"),
        string.Join(' ', e.Snapshot.Urls.Select(u => u.Url)),
    ];

    private static string Health(CustomResourceSnapshot snapshot)
    {
        var problem = snapshot.HealthReports.Select(r => r.Description).FirstOrDefault(d => d is not null);
        return problem is null ? $"{snapshot.HealthStatus}" : $"{snapshot.HealthStatus}: {problem}";
    }
}
