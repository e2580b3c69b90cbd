using Microsoft.OpenApi;

namespace DistributedPatterns.Gateway.Uploads;

internal static class TextBodyDescription
{
    /// <summary>Describes a body that is a file. Not by <c>Accepts</c>: routing would then answer 415 itself, without saying why.</summary>
    public static RouteHandlerBuilder TakesTextBody(this RouteHandlerBuilder endpoint) =>
        endpoint.AddOpenApiOperationTransformer((operation, _, _) =>
        {
            var file = new OpenApiSchema { Type = JsonSchemaType.String, Format = "binary" };
            operation.RequestBody = new OpenApiRequestBody
            {
                Required = true,
                Content = TextBody.Types.ToDictionary(type => type, _ => new OpenApiMediaType { Schema = file }),
            };
            return Task.CompletedTask;
        });
}
