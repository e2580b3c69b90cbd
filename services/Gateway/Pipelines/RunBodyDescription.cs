using Microsoft.OpenApi;

namespace DistributedPatterns.Gateway.Pipelines;

internal static class RunBodyDescription
{
    /// <summary>Describes the bodies that start a run. Not by <c>Accepts</c>: routing would then answer 415 itself, without saying why.</summary>
    public static RouteHandlerBuilder TakesRunBody(this RouteHandlerBuilder endpoint) =>
        endpoint.AddOpenApiOperationTransformer(async (operation, context, cancellationToken) =>
        {
            var schema = await context.GetOrCreateSchemaAsync(typeof(RunRequest), cancellationToken: cancellationToken);
            var file = new OpenApiSchema { Type = JsonSchemaType.String, Format = "binary" };
            operation.RequestBody = new OpenApiRequestBody
            {
                Required = true,
                Content = new Dictionary<string, OpenApiMediaType>
                {
                    ["application/json"] = new() { Schema = schema },
                    ["text/plain"] = new() { Schema = file },
                    ["application/octet-stream"] = new() { Schema = file },
                },
            };
        });
}
