using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using DistributedPatterns.Gateway.Patterns;
using DistributedPatterns.Gateway.Problems;
using DistributedPatterns.ResourcePooling;
using DistributedPatterns.ResourcePooling.Work;

namespace DistributedPatterns.Gateway.ResourcePooling;

internal sealed class ResourcePoolingPattern : GatewayPattern
{
    public override string Name => "resource-pooling";

    public override string Title => "Resource pooling";

    public override string Question => "How do many callers share a few connections, in turn, without a leak and without too many of them?";

    public override string Article => "services/Patterns/ResourcePooling/README.md";

    public override IJsonTypeInfoResolver Json => ResourcePoolingJson.Default;

    public override IReadOnlyList<string> Examples =>
    [
        "'{here}/api/resource-pooling/channel/?hold=5ms&timeout=1s'",
        "'{here}/api/resource-pooling/distributed/?hold=50ms&timeout=200ms'",
        "{here}/api/resource-pooling/distributed/stats",
    ];

    public override void AddServices(IServiceCollection services) => services.AddLocalPooledWork().AddGrpcPooledWork();

    public override void Map(RouteGroupBuilder group, string variant, IServiceProvider services) => ResourcePoolingEndpoints.Map(group, variant, services);

    public override Problem? Describe(Exception exception) => exception switch
    {
        PoolExhaustedException => new(ProblemKind.PoolExhausted, exception.Message),
        UseTimeoutException => new(ProblemKind.DeadlineExceeded, exception.Message),
        PermitFencedException => new(ProblemKind.PermitLost, exception.Message),
        ResourceOpenException or DatabaseFailedException => new(ProblemKind.BrokerUnavailable, exception.Message),
        _ => null,
    };
}

/// <summary>A connection was taken and will be given back late.</summary>
/// <param name="ForMs">When it comes back; a leak that nobody made on purpose does not.</param>
internal sealed record LeakReply(string Process, int Permit, double ForMs, string Stats);

/// <summary>The pools of all processes that can be asked.</summary>
internal sealed record PoolingStats(IReadOnlyList<ProcessPool> Processes);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(PooledUse))]
[JsonSerializable(typeof(LeakReply))]
[JsonSerializable(typeof(PoolingStats))]
[JsonSerializable(typeof(string))]
internal sealed partial class ResourcePoolingJson : JsonSerializerContext;
