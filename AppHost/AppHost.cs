// The system on one screen. The same source runs on Aspire and on the embedded host (docs/decisions/0001).
using DistributedPatterns;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;

HostChoice.Announce();

var builder = DistributedApplication.CreateBuilder(args);
if (Settings.TryRead(builder.Configuration, out var settings) is { } mistake)
{
    return Refusal.Print(mistake);
}

if (RunFolder.TryOpen(builder.AppHostDirectory, settings, out var opened) is { } obstacle)
{
    return Refusal.Print(obstacle);
}

using var run = opened;

// All shared state: queues, leases, limits, flights, topics, members.
var redis = builder.AddChosenRedis(settings, run);

// Reads inputs, splits them, emits items, publishes.
var producer = AddService<Projects.Producer>("producer", settings.ProducerReplicas).WithGrpc();

// Runs jobs, map tasks, pipeline transforms, loop partitions.
var worker = AddService<Projects.Worker>("worker", settings.WorkerReplicas).WithGrpc();

// Aggregates: pipeline sink, fan-in, reduce partitions, subscriber.
var reducer = AddService<Projects.Reducer>("reducer", settings.ReducerReplicas).WithGrpc();

// The HTTP API that drives every pattern, and the only door to the outside.
AddService<Projects.Gateway>("gateway", settings.GatewayReplicas, settings.GatewayPort)
    .WithExternalHttpEndpoints()
    .WithEnvironment("Chaos__Token", settings.ChaosToken)
    .WithReference(producer)
    .WithReference(worker)
    .WithReference(reducer);

// A process that ends by itself is started again, on either host.
builder.Services.TryAddSingleton(TimeProvider.System);
builder.Services.AddHostedService<Restarts>();

builder.Build().Run();
return Environment.ExitCode;

IResourceBuilder<ProjectResource> AddService<TProject>(string name, int replicas, int? port = null)
    where TProject : IProjectMetadata, new() =>
    builder.AddProject<TProject>(name, project => project.ExcludeLaunchProfile = true)
        .WithReplicas(replicas)
        .WithHttpEndpoint(port: port, name: "http")
        .WithHttpHealthCheck("/health", endpointName: "http")
        .WithEnvironment("ASPNETCORE_ENVIRONMENT", builder.Environment.EnvironmentName)
        .WithEnvironment("Data__Path", run.SharedData)
        .WithRedis(redis);
