var builder = WebApplication.CreateBuilder(args);
builder.AddServiceDefaults();
builder.AddRedisClient("redis");

builder.Services.AddRedisAtomicityProbe().AddMembers();
builder.Services.AddPipelineScenarios().AddPipelineWorker();
builder.Services.AddWorkerPoolJobs().AddRedisWorkers();
builder.Services.AddRedisFeedConsumer();
builder.Services.AddMapReduceJobs().AddMapReduceMapper();
builder.Services.AddFanOutFanInScenarios().AddFanOutWorker();

var app = builder.Build();
app.MapDefaultEndpoints();
app.MapPipelineWorker();
app.MapFanOutWorker();
await app.RunAsync();
