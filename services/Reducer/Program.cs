var builder = WebApplication.CreateBuilder(args);
builder.AddServiceDefaults();
builder.AddRedisClient("redis");

builder.Services.AddRedisAtomicityProbe().AddMembers();
builder.Services.AddPipelineScenarios().AddPipelineReducer();
builder.Services.AddDeadlineScenarios().AddOperations();
builder.Services.AddMapReduceJobs().AddMapReduceReducer();

var app = builder.Build();
app.MapDefaultEndpoints();
app.MapPipelineReducer();
app.MapOperations();
await app.RunAsync();
