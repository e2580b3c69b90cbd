namespace DistributedPatterns.Tests.Support;

/// <summary>What a test does without a server that it needs: in CI, where all are installed, it fails; elsewhere it is skipped.</summary>
internal static class MissingServer
{
    public static void Skip(string reason)
    {
        if (Environment.GetEnvironmentVariable("CI") is "true")
            Assert.Fail(reason);
        Assert.Skip(reason);
    }
}
