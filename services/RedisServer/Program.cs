using Microsoft.Extensions.Diagnostics.HealthChecks;
using RedisServer;

var builder = WebApplication.CreateBuilder(args);
builder.AddServiceDefaults();
// What goes wrong at start is said once, below, without the host's stack trace.
builder.Logging.AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.None);

try
{
    var options = GarnetOptions.From(builder.Configuration);
    // Before the web server: /health must not answer for a Redis that is not there yet.
    await using var garnet = EmbeddedGarnet.Start(options);
    builder.Services.AddHealthChecks().Add(new HealthCheckRegistration("garnet", _ => new GarnetPing(options), null, null, TimeSpan.FromSeconds(2)));
    var app = builder.Build();
    app.MapDefaultEndpoints();
    await app.RunAsync();
    return 0;
}
catch (Exception e) when (e is RedisServerException or IOException)
{
    await Console.Error.WriteLineAsync($"redis-server: {e.Message}");
    return 1;
}
