var builder = WebApplication.CreateBuilder(args);
builder.AddServiceDefaults();
builder.AddRedisClient("redis");

builder.Services.AddRedisAtomicityProbe().AddMembers();
builder.Services.AddPipelineScenarios().AddPipelineWorker();
builder.Services.AddWorkerPoolJobs().AddRedisWorkers();
builder.Services.AddRedisFeedConsumer();
builder.Services.AddTailingChildren().AddRedisChildRunner();
builder.Services.AddMapReduceJobs().AddMapReduceMapper();
builder.Services.AddTallyHandlers().AddRedisLoopRunner();
builder.Services.AddFanOutFanInScenarios().AddFanOutWorker();
builder.Services.AddDeadlineScenarios().AddOperations();
builder.Services.AddPooledWorker();

var app = builder.Build();
app.MapDefaultEndpoints();
app.MapPipelineWorker();
app.MapFanOutWorker();
app.MapOperations();
app.MapPooledWork();
await app.RunAsync();
