using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using DistributedPatterns.Gateway.Patterns;
using DistributedPatterns.Gateway.Problems;
using DistributedPatterns.Members;
using DistributedPatterns.Supervision;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Gateway.Supervision;

internal sealed class SupervisionPattern : GatewayPattern
{
    public override string Name => "supervision";

    public override string Title => "Supervision";

    public override string Question => "What starts again what has died or hangs, who goes down with it, and when is it time to give up?";

    public override string Article => "services/Patterns/Supervision/README.md";

    public override IJsonTypeInfoResolver Json => SupervisionJson.Default;

    public override IReadOnlyList<string> Examples =>
    [
        "{here}/api/supervision/channel/tree",
        "-X POST {here}/api/supervision/channel/children/lines/crash",
        "-X PUT '{here}/api/supervision/distributed/strategy?use=rest-for-one'",
        "-X POST {here}/api/supervision/distributed/children/feed/hang",
        "{here}/api/supervision/distributed/stats",
    ];

    public override void AddServices(IServiceCollection services)
    {
        // A gateway serves eleven other patterns: it goes on when the children of this one are given up.
        services.AddTailingChildren().AddTaskSupervisor(options => options.WhenEscalated = EscalationPolicy.StayDown).AddRedisLeaseSupervisor();
        services.AddOptions<TaskSupervisorOptions>().Configure<IOptions<MembersOptions>>((channel, self) => channel.Name = self.Value.Id);
    }

    public override void Map(RouteGroupBuilder group, string variant, IServiceProvider services) => SupervisionEndpoints.Map(group, variant, services);

    public override Problem? Describe(Exception exception) => exception switch
    {
        ChildNotFoundException => new(ProblemKind.ChildNotFound, exception.Message),
        ChildNotRunningException => new(ProblemKind.ChildNotRunning, exception.Message),
        SupervisorEscalatedException => new(ProblemKind.Escalated, exception.Message),
        _ => null,
    };
}

/// <summary>A signal is on its way to a child.</summary>
/// <param name="Epoch">The start that gets it; once the tree shows a higher one, the child has been started again.</param>
internal sealed record SignalReply(string Child, ChildSignal Signal, long Epoch, string Tree);

/// <summary>Which children a failure takes with it from now on.</summary>
internal sealed record StrategyReply(SupervisionStrategy Strategy);

/// <summary>What has become of all starts so far.</summary>
internal sealed record SupervisionStats(SupervisionLedger Ledger, SupervisionCounters Counters, RestartBudgetStatus Budget);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(SupervisionTree))]
[JsonSerializable(typeof(SupervisionStats))]
[JsonSerializable(typeof(SignalReply))]
[JsonSerializable(typeof(StrategyReply))]
[JsonSerializable(typeof(string))]
internal sealed partial class SupervisionJson : JsonSerializerContext;
