using System.Globalization;
using System.Text;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Processes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Aspire.Hosting.Dashboard;

/// <summary>Console lines of a replica, or of all replicas of a resource in the order of time.</summary>
internal static class ConsoleLines
{
    public static void MapConsoleDownload(this IEndpointRouteBuilder app) =>
        app.MapGet("/consolelogs/download/{name}", (string name, ResourceNotificationService notifications, ResourceLoggerService logs) =>
        {
            var replicas = Replicas(notifications, name);
            if (replicas.Count == 0)
            {
                return Results.NotFound();
            }

            var text = new StringBuilder();
            foreach (var (replica, line) in Of(logs, replicas, int.MaxValue))
            {
                text.Append(CultureInfo.InvariantCulture, $"{line.Time:O} {replica} {AnsiCodes.Strip(line.Content)}\n");
            }

            return Results.File(Encoding.UTF8.GetBytes(text.ToString()), "text/plain; charset=utf-8", $"{name}.log");
        });

    /// <summary>Gets the ids that a name stands for: its own, or those of a resource's replicas.</summary>
    public static IReadOnlyList<string> Replicas(ResourceNotificationService notifications, string? name) =>
        [.. notifications.Current
            .Where(e => ((Resource)e.Resource).IsProcess && (Same(e.ResourceId, name) || Same(e.Resource.Name, name)))
            .Select(e => e.ResourceId)];

    public static IEnumerable<(string Replica, LogLine Line)> Of(ResourceLoggerService logs, IReadOnlyList<string> replicas, int count) =>
        replicas.SelectMany(id => logs.Tail(id, count).Select(line => (id, line))).OrderBy(l => l.line.Time).TakeLast(count);

    private static bool Same(string id, string? name) => string.Equals(id, name, StringComparison.OrdinalIgnoreCase);
}
