using System.Text.Json.Nodes;

namespace DistributedPatterns.Tests.Gateway;

internal static class ProblemAssert
{
    /// <summary>Checks that a reply is a problem of a kind whose detail mentions all this, and returns it.</summary>
    public static async Task<JsonObject> IsAsync(HttpResponseMessage response, int status, string slug, params string[] mentions)
    {
        var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True((int)response.StatusCode == status, $"{(int)response.StatusCode} instead of {status}: {text}");
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        var problem = Is(text, status, slug, mentions);
        if (status == 503)
        {
            Assert.InRange((int)problem["retryAfterMs"]!, 1, 60_000);
            var seconds = response.Headers.RetryAfter?.Delta?.TotalSeconds;
            Assert.Equal(Math.Ceiling((int)problem["retryAfterMs"]! / 1000.0), seconds);
        }
        return problem;
    }

    public static JsonObject Is(string body, int status, string slug, params string[] mentions)
    {
        var problem = JsonNode.Parse(body)!.AsObject();
        Assert.Equal(
            ($"/problems/{slug}", status, slug), ((string?)problem["type"], (int?)problem["status"], (string?)problem["reason"]));
        Assert.False(string.IsNullOrEmpty((string?)problem["title"]));
        Assert.Matches("^([0-9a-f]{32}|[0-9A-Z]+:[0-9A-F]+)$", (string?)problem["traceId"]);
        Assert.True(problem.ContainsKey("pattern") && problem.ContainsKey("variant"), body);
        Assert.All(mentions, mention => Assert.Contains(mention, (string?)problem["detail"], StringComparison.Ordinal));
        return problem;
    }
}
