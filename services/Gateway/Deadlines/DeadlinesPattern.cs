using System.Text.Json.Serialization.Metadata;
using DistributedPatterns.Deadlines;
using DistributedPatterns.Gateway.Patterns;
using DistributedPatterns.Gateway.Problems;

namespace DistributedPatterns.Gateway.Deadlines;

internal sealed class DeadlinesPattern : GatewayPattern
{
    public override string Name => "deadlines";

    public override string Title => "Timeouts and cancellation";

    public override string Question => "How does everything behind a request end when its time is over, or when nobody waits for it any more?";

    public override string Article => "services/Patterns/Deadlines/README.md";

    public override IJsonTypeInfoResolver Json => DeadlinesJson.Default;

    public override IReadOnlyList<string> Examples =>
    [
        "'{here}/api/deadlines/distributed/?hops=3&work=io:50ms' -H 'Request-Timeout-Ms: 1000'",
        "'{here}/api/deadlines/distributed/?hops=3&work=io:50ms' -H 'Request-Timeout-Ms: 120'",
        "'{here}/api/deadlines/channel/?hops=3&work=io:50ms&unavailable=3&attempts=3'",
        "'{here}/api/deadlines/channel/?hops=2&work=io:1s&deaf=2' -H 'Request-Timeout-Ms: 100'",
        "'{here}/api/deadlines/distributed/?hops=3&last=io:10s' --max-time 1; curl '{here}/api/deadlines/distributed/stats'",
    ];

    public override void AddServices(IServiceCollection services) => services.AddDeadlineScenarios().AddTaskBudgetedCalls().AddGrpcBudgetedCalls();

    public override void Map(RouteGroupBuilder group, string variant, IServiceProvider services) => DeadlinesEndpoints.Map(group, variant, services);

    public override Problem? Describe(Exception exception) => exception switch
    {
        DeadlineExceededException => new(ProblemKind.DeadlineExceeded, exception.Message),
        OperationUnavailableException => new(ProblemKind.OperationUnavailable, exception.Message),
        OperationFailedException => new(ProblemKind.OperationFailed, exception.Message),
        _ => null,
    };
}
