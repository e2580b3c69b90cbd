using Aspire.Hosting.Dashboard;

namespace DistributedPatterns.Tests.Dashboard;

public sealed class LoginTests
{
    [Theory]
    [InlineData("/", true)]
    [InlineData("/traces?x=//y", true)]
    [InlineData(null, false)]
    [InlineData("", false)]
    [InlineData("traces", false)]
    [InlineData("//evil.example", false)]
    [InlineData("/\\evil.example", false)]
    [InlineData("/\t/evil.example", false)]
    [InlineData("http://evil.example", false)]
    [InlineData("javascript:alert(1)", false)]
    public void IsLocal_OnlyPathsOfThisSite(string? url, bool isLocal) => Assert.Equal(isLocal, Login.IsLocal(url));
}
