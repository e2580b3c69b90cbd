var builder = WebApplication.CreateBuilder(args);
builder.AddServiceDefaults();
builder.AddRedisClient("redis");

builder.Services.AddRedisAtomicityProbe().AddMembers();
builder.Services.AddPipelineScenarios().AddPipelineReducer();
builder.Services.AddMapReduceJobs().AddMapReduceReducer();

var app = builder.Build();
app.MapDefaultEndpoints();
app.MapPipelineReducer();
await app.RunAsync();
