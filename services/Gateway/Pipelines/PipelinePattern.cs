using System.Text.Json.Serialization.Metadata;
using DistributedPatterns.Gateway.Patterns;
using DistributedPatterns.Gateway.Problems;
using DistributedPatterns.Members;
using DistributedPatterns.Pipeline;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Gateway.Pipelines;

internal sealed class PipelinePattern : GatewayPattern
{
    public override string Name => "pipeline";

    public override string Title => "Pipeline";

    public override string Question => "How do stages of different speed work on a stream of items at the same time, in bounded memory?";

    public override string Article => "services/Patterns/Pipeline/README.md";

    public override IJsonTypeInfoResolver Json => PipelineEndpointsJson.Default;

    public override IReadOnlyList<string> Examples =>
    [
        """-i {here}/api/pipeline/channel/runs -H 'Content-Type: application/json' -d '{"pipeline":"unicode","input":"unicode-data"}'""",
        "{here}/api/pipeline/channel/runs/<id>?wait=5s",
        "-N {here}/api/pipeline/channel/runs/<id>/events",
        "'{here}/api/pipeline/channel/runs?pipeline=unicode' -H 'Content-Type: text/plain' --data-binary @UnicodeData.txt",
        "'{here}/api/pipeline/channel/echo?n=100000'",
    ];

    public override void AddServices(IServiceCollection services)
    {
        services.AddPipelineScenarios().AddChannelPipeline().AddGrpcPipeline();
        services.AddOptions<ChannelPipelineOptions>().Configure<IOptions<MembersOptions>>((channel, self) => channel.IdPrefix = OwnerFilter.PrefixOf(self.Value));
        services.AddSingleton<RunWatchers>().AddSingleton<RunRequests>();
        foreach (var variant in PatternRoute.Variants)
            services.AddKeyedSingleton(variant, (provider, _) => ActivatorUtilities.CreateInstance<PipelineRuns>(provider, variant));
    }

    public override void Map(RouteGroupBuilder group, string variant, IServiceProvider services) => PipelineEndpoints.Map(group, variant, services);

    public override Problem? Describe(Exception exception) => exception switch
    {
        UnknownPipelineException => new(ProblemKind.UnknownPipeline, exception.Message),
        PipelineInputException => new(ProblemKind.InvalidInput, exception.Message),
        PipelineFullException => new(ProblemKind.Full, exception.Message),
        PipelineException => new(ProblemKind.RunFailed, exception.Message),
        _ => null,
    };
}
