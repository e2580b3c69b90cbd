using System.Collections.Concurrent;
using System.Diagnostics;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.Redis;

public sealed class RedisClientTests(SharedRedis shared)
{
    [Fact]
    public async Task AddRedisClient_CommandInsideAnOperation_BecomesItsSpan()
    {
        using var operations = new ActivitySource("operations");
        var spans = new ConcurrentQueue<Activity>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source == operations || source.Name == "OpenTelemetry.Instrumentation.StackExchangeRedis",
            Sample = static (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = spans.Enqueue,
        };
        ActivitySource.AddActivityListener(listener);
        using var host = await StartAsync();
        ActivityTraceId trace;
        using (var operation = operations.StartActivity("operation"))
        {
            trace = operation!.TraceId;
            await host.Services.GetRequiredService<IConnectionMultiplexer>().GetDatabase().StringSetAsync(SharedRedis.NewTag(), 1);
        }
        await Eventually.TrueAsync(
            () => spans.Any(span => span.TraceId == trace && span.OperationName == "SET" && span.Kind == ActivityKind.Client),
            TimeSpan.FromSeconds(30), () => string.Join(", ", spans.Select(span => span.OperationName)));
        await host.StopAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task AddRedisClient_ServerThere_IsHealthy()
    {
        using var host = await StartAsync();
        var report = await host.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync(TestContext.Current.CancellationToken);
        Assert.Equal(HealthStatus.Healthy, report.Entries["StackExchange.Redis"].Status);
        await host.StopAsync(TestContext.Current.CancellationToken);
    }

    private async Task<IHost> StartAsync()
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddLogging();
        builder.Configuration.AddInMemoryCollection([new("ConnectionStrings:redis", (await shared.OfAsync(RedisKind.Garnet)).ConnectionString)]);
        builder.AddRedisClient("redis");
        var host = builder.Build();
        await host.StartAsync(TestContext.Current.CancellationToken);
        return host;
    }
}
