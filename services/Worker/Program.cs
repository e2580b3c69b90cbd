var builder = WebApplication.CreateBuilder(args);
builder.AddServiceDefaults();
builder.AddRedisClient("redis");

builder.Services.AddRedisAtomicityProbe().AddMembers();
builder.Services.AddPipelineScenarios().AddPipelineWorker();
builder.Services.AddWorkerPoolJobs().AddRedisWorkers();

var app = builder.Build();
app.MapDefaultEndpoints();
app.MapPipelineWorker();
await app.RunAsync();
