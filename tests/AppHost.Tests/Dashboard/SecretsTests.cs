using Aspire.Hosting.Dashboard;
using Aspire.Hosting.Processes;

namespace DistributedPatterns.Tests.Dashboard;

public sealed class SecretsTests
{
    [Theory]
    [InlineData("REDIS_PASSWORD", "x", true)]
    [InlineData("GITHUB_TOKEN", "x", true)]
    [InlineData("ApiKey", "x", true)]
    [InlineData("REDIS_PASSWORD", "", false)]
    [InlineData("ConnectionStrings__db", "Host=db;Password=x", true)]
    [InlineData("OTEL_EXPORTER_OTLP_HEADERS", "x-otlp-api-key=abc", true)]
    [InlineData("REDIS_URI", "redis://:x@localhost:1", true)]
    [InlineData("OTHER", "a parameter-value in it", true)]
    [InlineData("OTHER", "public-value", false)]
    [InlineData("URL", "http://localhost:5080/x@y", false)]
    [InlineData("PATH", "/usr/bin", false)]
    public async Task IsIn_SecretsByOriginNameOrLook_AreHidden(string name, string value, bool isHidden)
    {
        var model = new Model();
        model.Add(new ParameterResource("hidden", "parameter-value", secret: true));
        model.Add(new ParameterResource("shown", "public-value"));
        model.Add(new ParameterResource("short", "a", secret: true));

        Assert.Equal(isHidden, (await Secrets.OfAsync(model)).IsIn(name, value));
    }
}
