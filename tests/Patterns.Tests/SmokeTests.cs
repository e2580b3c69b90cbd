namespace DistributedPatterns.Tests;

public sealed class SmokeTests
{
    [Fact]
    public void Suite_Starts() => Assert.True(Environment.Version.Major >= 10);
}
