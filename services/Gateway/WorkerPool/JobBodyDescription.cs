using Microsoft.OpenApi;

namespace DistributedPatterns.Gateway.WorkerPool;

internal static class JobBodyDescription
{
    /// <summary>Describes the body that asks for a job. Not by <c>Accepts</c>: routing would then answer 415 itself, without saying why.</summary>
    public static RouteHandlerBuilder TakesJobBody(this RouteHandlerBuilder endpoint) =>
        endpoint.AddOpenApiOperationTransformer(async (operation, context, cancellationToken) => operation.RequestBody = new OpenApiRequestBody
        {
            Content = new Dictionary<string, OpenApiMediaType>
            {
                ["application/json"] = new() { Schema = await context.GetOrCreateSchemaAsync(typeof(JobSubmission), cancellationToken: cancellationToken) },
            },
        });
}
