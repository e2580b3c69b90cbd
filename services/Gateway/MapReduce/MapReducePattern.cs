using System.Text.Json.Serialization.Metadata;
using DistributedPatterns.Gateway.Patterns;
using DistributedPatterns.Gateway.Problems;
using DistributedPatterns.MapReduce;
using DistributedPatterns.Members;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Gateway.MapReduce;

internal sealed class MapReducePattern : GatewayPattern
{
    public override string Name => "map-reduce";

    public override string Title => "Map-reduce";

    public override string Question => "How is a file too large for one memory counted or indexed, in parts that may be lost and done again?";

    public override string Article => "services/Patterns/MapReduce/README.md";

    public override IJsonTypeInfoResolver Json => MapReduceEndpointsJson.Default;

    public override IReadOnlyList<string> Examples =>
    [
        """-i {here}/api/map-reduce/channel/jobs -H 'Content-Type: application/json' -d '{"job":"word-count","input":"us-constitution.txt"}'""",
        "'{here}/api/map-reduce/channel/jobs/<id>?wait=10s'",
        "'{here}/api/map-reduce/channel/jobs/<id>/result?top=5'",
        "-T book.txt -H 'Content-Type: text/plain' {here}/api/map-reduce/distributed/inputs/book.txt",
        """{here}/api/map-reduce/distributed/jobs -H 'Content-Type: application/json' -d '{"job":"field-count","input":"UnicodeData.txt","parameters":{"field":"3"}}'""",
    ];

    public override void AddServices(IServiceCollection services)
    {
        services.AddMapReduceJobs().AddChannelMapReduce().AddRedisMapReduce();
        services.AddOptions<ChannelMapReduceOptions>().Configure<IOptions<MembersOptions>>((channel, self) => channel.IdPrefix = OwnerFilter.PrefixOf(self.Value));
        services.AddSingleton<InputStore>();
    }

    public override void Map(RouteGroupBuilder group, string variant, IServiceProvider services)
    {
        MapReduceEndpoints.Map(group, variant, services);
        InputEndpoints.Map(group, services.GetRequiredService<InputStore>());
    }

    public override Problem? Describe(Exception exception) => exception switch
    {
        UnknownMapReduceJobException => new(ProblemKind.UnknownJob, exception.Message),
        MapReduceRequestException => new(ProblemKind.InvalidParameter, exception.Message),
        MapReduceInputException => new(ProblemKind.UnknownInput, exception.Message),
        MapReduceConflictException => new(ProblemKind.IdempotencyMismatch, exception.Message),
        MapReduceFullException => new(ProblemKind.Full, exception.Message),
        _ => null,
    };
}
