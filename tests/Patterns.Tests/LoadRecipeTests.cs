using System.Diagnostics;
using System.Net.Http.Json;
using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using DistributedPatterns.Tests.Gateway;

namespace DistributedPatterns.Tests;

/// <summary>The recipes of tests/Load ask for what the gateway has, and bash can read them. Whether its promises hold under load they say themselves.</summary>
public sealed partial class LoadRecipeTests
{
    private static readonly string s_folder = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(Here())!, "..", "Load"));

    public static TheoryData<string> Recipes =>
        [.. Directory.EnumerateFiles(s_folder, "*", SearchOption.AllDirectories).Select(path => Path.GetRelativePath(s_folder, path).Replace('\\', '/'))];

    public static TheoryData<string> Scripts => [.. Recipes.Select(row => row.Data).Where(name => name.EndsWith(".sh", StringComparison.Ordinal))];

    [Fact(Timeout = 60_000)]
    public async Task Endpoints_OfTheRecipes_AreThoseOfTheGateway()
    {
        await using var host = await GatewayHost.StartAsync(("Environment", "Development"));
        var paths = (await host.Http.GetFromJsonAsync<JsonNode>("/openapi/v1.json", TestContext.Current.CancellationToken))!["paths"]!.AsObject();
        var seen = new HashSet<string>();
        foreach (var recipe in Recipes.Select(row => row.Data))
        {
            foreach (Match match in Endpoint().Matches(await File.ReadAllTextAsync(Path.Combine(s_folder, recipe), TestContext.Current.CancellationToken)))
            {
                foreach (var variant in Variants(match.Groups["variant"].Value))
                {
                    var asked = $"/api/{match.Groups["pattern"].Value}/{variant}{match.Groups["rest"].Value}";
                    var path = paths.Select(known => known.Key).FirstOrDefault(known => IsOf(asked, known)) ?? asked;
                    Assert.True(paths[path] is not null, $"{recipe} asks for {path}, which the gateway does not have.");
                    var known = paths[path]!.AsObject().SelectMany(operation => operation.Value!["parameters"]?.AsArray() ?? []).Select(parameter => (string?)parameter!["name"]);
                    foreach (Match name in QueryName().Matches(match.Groups["query"].Value))
                        Assert.True(known.Contains(name.Groups["name"].Value), $"{recipe} sends '{name.Groups["name"].Value}' to {path}, which does not take it.");
                    seen.Add(path);
                }
            }
        }

        // The recipes are there, and their addresses are found.
        Assert.Superset(
            new HashSet<string> { "/api/rate-limiting/distributed", "/api/worker-pool/channel/jobs", "/api/worker-pool/distributed/stats", "/api/pipeline/channel/runs", "/api/fan-out-fan-in/distributed" },
            seen);
    }

    // A part in braces of the known path stands for any.
    private static bool IsOf(string path, string known) =>
        path.Split('/') is var parts && known.Split('/') is var wanted && parts.Length == wanted.Length && parts.Zip(wanted).All(part => part.First == part.Second || part.Second.StartsWith('{'));

    [Theory(Timeout = 60_000)]
    [MemberData(nameof(Scripts))]
    public async Task Script_IsUnderstoodByBash(string script)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "The recipes are for Linux.");
        using var bash = Process.Start(new ProcessStartInfo("bash", ["-n", Path.Combine(s_folder, script)]) { RedirectStandardError = true })!;
        var mistakes = await bash.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await bash.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.True(bash.ExitCode == 0, mistakes);
    }

    [Fact]
    public void EveryRecipe_IsInTheTable()
    {
        var table = File.ReadAllText(Path.Combine(s_folder, "README.md"));
        foreach (var recipe in Recipes.Select(row => row.Data).Where(name => name is not ("common.sh" or "README.md" or "refusals.lua")))
            Assert.Contains($"tests/Load/{recipe}`", table, StringComparison.Ordinal);
    }

    private static string[] Variants(string variant) => variant.StartsWith('$') ? [Diagnostics.Variants.Channel, Diagnostics.Variants.Distributed] : [variant];

    private static string Here([CallerFilePath] string path = "") => path;

    [GeneratedRegex(@"/api/(?<pattern>[a-z-]+)/(?<variant>channel|distributed|\$variant|\$\{variant\})(?<rest>(/[a-z]+)*)(\?(?<query>[^""'`\s]*))?")]
    private static partial Regex Endpoint();

    [GeneratedRegex(@"(^|&)(?<name>[a-z]+)=")]
    private static partial Regex QueryName();
}
