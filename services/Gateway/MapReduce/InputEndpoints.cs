using DistributedPatterns.Gateway.Uploads;

namespace DistributedPatterns.Gateway.MapReduce;

/// <summary>Maps <c>/api/map-reduce/{variant}/inputs</c>: the same files for both variants.</summary>
internal static class InputEndpoints
{
    public static void Map(RouteGroupBuilder group, InputStore inputs)
    {
        group.MapPut("/inputs/{name}", async (string name, HttpContext http) =>
            {
                var input = await inputs.PutAsync(name, http);
                return TypedResults.Created(http.Request.Path, input);
            })
            .TakesQuery().TakesTextBody().WithSummary("Puts the file in the body among the inputs, or replaces the one of that name.");
        group.MapGet("/inputs", () => TypedResults.Ok(inputs.List())).TakesQuery().WithSummary("Lists the files that were put among the inputs.");
        group.MapDelete("/inputs/{name}", (string name) =>
            {
                inputs.Delete(name);
                return TypedResults.NoContent();
            })
            .TakesQuery().WithSummary("Deletes one of them. A job that reads it fails.");
    }
}
