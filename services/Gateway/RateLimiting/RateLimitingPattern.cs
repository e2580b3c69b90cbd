using System.Text.Json.Serialization.Metadata;
using DistributedPatterns.Gateway.Patterns;
using DistributedPatterns.Gateway.Problems;
using DistributedPatterns.RateLimiting;

namespace DistributedPatterns.Gateway.RateLimiting;

internal sealed class RateLimitingPattern : GatewayPattern
{
    public override string Name => "rate-limiting";

    public override string Title => "Rate limiting";

    public override string Question => "How do callers get no more than their share, and learn exactly when to come back?";

    public override string Article => "services/Patterns/RateLimiting/README.md";

    public override IJsonTypeInfoResolver Json => RateLimitingJson.Default;

    public override IReadOnlyList<string> Examples =>
    [
        "-i '{here}/api/rate-limiting/channel?algorithm=gcra&key=me'",
        "-i '{here}/api/rate-limiting/distributed?algorithm=gcra&key=me&cost=60'",
        "-i '{here}/api/rate-limiting/distributed?algorithm=pacer&key=me&wait=1s'",
        "-i '{here}/api/rate-limiting/distributed?algorithm=concurrency&key=me&work=io:2s'",
        "{here}/api/rate-limiting/distributed/stats",
    ];

    public override void AddServices(IServiceCollection services) => services.AddLocalRateLimiting().AddRedisRateLimiting();

    public override void Map(RouteGroupBuilder group, string variant, IServiceProvider services) => RateLimitingEndpoints.Map(group, variant, services);

    public override Problem? Describe(Exception exception) => exception switch
    {
        UnknownAlgorithmException => new(ProblemKind.InvalidParameter, exception.Message),
        TooManyKeysException => new(ProblemKind.Full, exception.Message),
        _ => null,
    };
}
