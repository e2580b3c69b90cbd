using System.Text.Json.Serialization.Metadata;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Gateway.Idempotency;
using DistributedPatterns.Gateway.Patterns;
using DistributedPatterns.Gateway.Problems;
using DistributedPatterns.Members;
using DistributedPatterns.ProducerConsumer;
using DistributedPatterns.WorkerPool;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace DistributedPatterns.Gateway.WorkerPool;

internal sealed class WorkerPoolPattern : GatewayPattern
{
    public override string Name => "worker-pool";

    public override string Title => "Worker pool";

    public override string Question => "How do a bounded number of workers run jobs, and what becomes of a job whose worker dies?";

    public override string Article => "services/Patterns/WorkerPool/README.md";

    public override IJsonTypeInfoResolver Json => WorkerPoolEndpointsJson.Default;

    public override IReadOnlyList<string> Examples =>
    [
        """-i {here}/api/worker-pool/channel/jobs -H 'Content-Type: application/json' -d '{"job":"sha256","input":{"input":"unicode-data"}}'""",
        "'{here}/api/worker-pool/channel/jobs/<id>?wait=5s'",
        "-X POST '{here}/api/worker-pool/channel/jobs?work=io:10s'",
        "-X DELETE {here}/api/worker-pool/channel/jobs/<id>",
        "{here}/api/worker-pool/channel/stats",
    ];

    public override void AddServices(IServiceCollection services)
    {
        // Whoever is told "full" at once can go elsewhere; a request that waits for room only holds a connection.
        services.AddWorkerPoolJobs()
            .AddChannelWorkerPool(options => options.WhenFull = PoolFullPolicy.Reject)
            .AddRedisWorkerPool(options => options.WhenFull = PoolFullPolicy.Reject);
        services.AddOptions<ChannelWorkerPoolOptions>().Configure<IOptions<MembersOptions>>(
            (channel, self) => (channel.Name, channel.IdPrefix) = (self.Value.Id, OwnerFilter.PrefixOf(self.Value)));
        services.AddKeyedSingleton<IRequestKeys>(KeysOf(Variants.Channel), (provider, _) => new LocalRequestKeys(provider.GetRequiredService<TimeProvider>()));
        services.AddKeyedSingleton<IRequestKeys>(KeysOf(Variants.Distributed), (provider, _) => new RedisRequestKeys(
            provider.GetRequiredService<IConnectionMultiplexer>, provider.GetRequiredService<IOptions<RedisWorkerPoolOptions>>().Value.KeyTag));
    }

    /// <summary>Names the Idempotency-Keys of jobs among those of other patterns.</summary>
    public static string KeysOf(string variant) => $"worker-pool:{variant}";

    public override void Map(RouteGroupBuilder group, string variant, IServiceProvider services) => WorkerPoolEndpoints.Map(group, variant, services);

    public override Problem? Describe(Exception exception) => exception switch
    {
        UnknownJobException => new(ProblemKind.UnknownJob, exception.Message),
        JobInputException => new(ProblemKind.InvalidJobInput, exception.Message),
        JobNotFoundException => new(ProblemKind.JobNotFound, exception.Message),
        WorkerPoolFullException => new(ProblemKind.Full, exception.Message),
        WorkerPoolDrainingException => new(ProblemKind.Draining, exception.Message),
        PayloadTooLargeException => new(ProblemKind.BodyTooLarge, exception.Message),
        _ => null,
    };
}
