using DistributedPatterns.Benchmarks.Deadlines;
using DistributedPatterns.Benchmarks.EventLoop;
using DistributedPatterns.Benchmarks.FanOutFanIn;
using DistributedPatterns.Benchmarks.MapReduce;
using DistributedPatterns.Benchmarks.Pipeline;
using DistributedPatterns.Benchmarks.WorkerPool;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace DistributedPatterns.Benchmarks.Harness;

/// <summary>What this program serves when it is started as a service: one line a pattern and role.</summary>
internal static class Roles
{
    public static IReadOnlyDictionary<string, (Action<IServiceCollection> Add, Action<IEndpointRouteBuilder> Map)> All { get; } =
        new Dictionary<string, (Action<IServiceCollection>, Action<IEndpointRouteBuilder>)>(StringComparer.Ordinal)
        {
            ["producer"] = (services => services.AddNumbers().AddPipelineProducer(), _ => { }),
            ["worker"] = (services => services.AddNumbers().AddPipelineWorker(), endpoints => endpoints.MapPipelineWorker().MapGrpcService<ChunksService>()),
            ["pool-worker"] = (services => services.AddPoolWorkers(), _ => { }),
            [RedisLoops.Role] = (services => services.AddLoopWorker(), _ => { }),
            [MapReduceBenchmarks.Role] = (services => services.AddMapReducer(), _ => { }),
            [RemoteTurns.Role] = (services => services.AddTurns().AddFanOutWorker(), endpoints => endpoints.MapFanOutWorker()),
            [RemoteOperations.First] = (services => services.AddBenchmarkOperations().AddOperations(), endpoints => endpoints.MapOperations()),
            [RemoteOperations.Last] = (services => services.AddBenchmarkOperations().AddOperations(), endpoints => endpoints.MapOperations()),
            ["reducer"] = (services => services.AddNumbers().AddPipelineReducer(), endpoints => endpoints.MapPipelineReducer()),
        };
}
