using System.Data.Common;
using DistributedPatterns.Payloads;
using DistributedPatterns.ResourcePooling.Work;
using DistributedPatterns.Tests.MemberProcess;
using DistributedPatterns.Tests.WorkerPool;
using Microsoft.Extensions.Options;

// A member in a process of its own, for tests that freeze and kill it.
var builder = WebApplication.CreateBuilder(args);
builder.AddServiceDefaults();
builder.AddRedisClient("redis");
builder.Services.AddRedisAtomicityProbe().AddMembers();
builder.Services.AddGrpc();
if (builder.Configuration["Patterns:WorkerPool:Redis:KeyTag"] is not null)
    builder.Services.AddJob(_ => FaultJobs.Traced).AddJob(_ => FaultJobs.Deadly).AddRedisWorkers();
if (builder.Configuration["Patterns:ProducerConsumer:held:KeyTag"] is not null)
    builder.Services.AddRedisWorkQueue("held", PayloadCodec.Utf8).AddHostedService<QueueHolder>();
if (builder.Configuration["Patterns:SingleFlight:Redis:KeyTag"] is not null)
    builder.Services.AddFlightWork<string, string>("text", PayloadCodec.Utf8, FlightLeader.RunAsync).AddRedisSingleFlight().AddHostedService<FlightLeader>();
if (builder.Configuration["Patterns:ResourcePooling:held:KeyTag"] is { } tag)
{
    builder.Services.AddOptions<DatabaseOptions>().BindConfiguration("Patterns:ResourcePooling:Storage");
    builder.Services.AddSingleton(provider => new DatabaseConnections(provider.GetRequiredService<IOptions<DatabaseOptions>>(), tag))
        .AddRedisPermitPool<DbConnection>("held", provider => provider.GetRequiredService<DatabaseConnections>()).AddHostedService<PermitHolder>();
}
var app = builder.Build();
app.MapDefaultEndpoints();
app.MapGrpcService<EchoService>();
await app.RunAsync();
