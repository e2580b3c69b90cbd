using System.Text.Json.Serialization.Metadata;
using DistributedPatterns.FanOutFanIn;
using DistributedPatterns.Gateway.Patterns;
using DistributedPatterns.Gateway.Problems;

namespace DistributedPatterns.Gateway.FanOutFanIn;

internal sealed class FanOutFanInPattern : GatewayPattern
{
    public override string Name => "fan-out-fan-in";

    public override string Title => "Fan-out/fan-in";

    public override string Question => "How is one task spread over many workers and brought together again, though some are slow, fail or die?";

    public override string Article => "services/Patterns/FanOutFanIn/README.md";

    public override IJsonTypeInfoResolver Json => FanOutFanInJson.Default;

    public override IReadOnlyList<string> Examples =>
    [
        "'{here}/api/fan-out-fan-in/channel/scan?input=unicode-data&find=Lo&parts=16'",
        "'{here}/api/fan-out-fan-in/distributed/scan?find=the&by=word' -H 'Content-Type: text/plain' --data-binary @us-constitution.txt",
        "'{here}/api/fan-out-fan-in/channel/?n=16&degree=4&work=io:50ms'",
        "'{here}/api/fan-out-fan-in/channel/?n=16&degree=4&work=io:50ms&mode=partial&deadline=120ms'",
        "'{here}/api/fan-out-fan-in/distributed/?n=3&mode=first&work=io:5ms&hedge=p95'",
    ];

    public override void AddServices(IServiceCollection services) => services.AddFanOutFanInScenarios().AddChannelScatterGather().AddGrpcScatterGather();

    public override void Map(RouteGroupBuilder group, string variant, IServiceProvider services) => FanOutFanInEndpoints.Map(group, variant, services);

    public override Problem? Describe(Exception exception) => exception switch
    {
        ScatterDeadlineException => new(ProblemKind.DeadlineExceeded, exception.Message),
        NoWorkerException => new(ProblemKind.NoWorker, exception.Message),
        ScatterFullException => new(ProblemKind.Full, exception.Message),
        ScatterException => new(ProblemKind.BranchFailed, exception.Message),
        _ => null,
    };
}
