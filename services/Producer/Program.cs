var builder = WebApplication.CreateBuilder(args);
builder.AddServiceDefaults();
builder.AddRedisClient("redis");

builder.Services.AddRedisAtomicityProbe().AddMembers();
builder.Services.AddPipelineScenarios().AddPipelineProducer();
builder.Services.AddRedisFeedProducer();
builder.Services.AddDeadlineScenarios().AddOperations();
builder.Services.AddMapReduceJobs().AddMapReduceCoordinator();

var app = builder.Build();
app.MapDefaultEndpoints();
app.MapOperations();
await app.RunAsync();
