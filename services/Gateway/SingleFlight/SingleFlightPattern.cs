using System.Text.Json.Serialization.Metadata;
using DistributedPatterns.Gateway.Patterns;
using DistributedPatterns.Gateway.Problems;
using DistributedPatterns.SingleFlight;

namespace DistributedPatterns.Gateway.SingleFlight;

internal sealed class SingleFlightPattern : GatewayPattern
{
    public override string Name => "single-flight";

    public override string Title => "Singleflight";

    public override string Question => "How do many who ask for the same at the same time cause it to be done once?";

    public override string Article => "services/Patterns/SingleFlight/README.md";

    public override IJsonTypeInfoResolver Json => SingleFlightJson.Default;

    public override IReadOnlyList<string> Examples =>
    [
        "-i '{here}/api/single-flight/channel/keys/a?work=io:50ms'",
        "-iZ '{here}/api/single-flight/distributed/keys/a[1-2]?work=io:2s' '{here}/api/single-flight/distributed/keys/a[1-2]?work=io:2s'",
        "-i '{here}/api/single-flight/distributed/keys/b?work=io:50ms&ttl=30s'",
        "'{here}/api/single-flight/distributed/keys/c?outcome=error'",
        "'{here}/api/single-flight/distributed/digest?input=us-constitution.txt'",
    ];

    public override void AddServices(IServiceCollection services) => services.AddFlightScenarios().AddTaskSingleFlight().AddRedisSingleFlight();

    public override void Map(RouteGroupBuilder group, string variant, IServiceProvider services) => SingleFlightEndpoints.Map(group, variant, services);

    public override Problem? Describe(Exception exception) => exception switch
    {
        FlightFailedException failed => new(ProblemKind.FlightFailed, failed.Message) { Headers = [(SingleFlightEndpoints.Header, SingleFlightEndpoints.NameOf(failed.Role))] },
        FlightTimeoutException => new(ProblemKind.DeadlineExceeded, exception.Message),
        FlightsFullException => new(ProblemKind.Full, exception.Message),
        FlightUnavailableException => new(ProblemKind.BrokerUnavailable, exception.Message),
        SingleFlightStoppedException => new(ProblemKind.Draining, exception.Message),
        _ => null,
    };
}
