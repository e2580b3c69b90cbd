var builder = WebApplication.CreateBuilder(args);
builder.AddServiceDefaults();
builder.AddRedisClient("redis");

builder.Services.AddRedisAtomicityProbe().AddMembers();
builder.Services.AddPipelineScenarios().AddPipelineProducer();
builder.Services.AddRedisFeedProducer();
builder.Services.AddMapReduceJobs().AddMapReduceCoordinator();

var app = builder.Build();
app.MapDefaultEndpoints();
await app.RunAsync();
