using Microsoft.OpenApi;

namespace DistributedPatterns.Gateway.MapReduce;

internal static class MapReduceBodyDescription
{
    /// <summary>Describes the body that asks for a job. Not by <c>Accepts</c>: routing would then answer 415 itself, without saying why.</summary>
    public static RouteHandlerBuilder TakesMapReduceBody(this RouteHandlerBuilder endpoint) =>
        endpoint.AddOpenApiOperationTransformer(async (operation, context, cancellationToken) => operation.RequestBody = new OpenApiRequestBody
        {
            Content = new Dictionary<string, OpenApiMediaType>
            {
                ["application/json"] = new() { Schema = await context.GetOrCreateSchemaAsync(typeof(MapReduceSubmission), cancellationToken: cancellationToken) },
            },
        });
}
