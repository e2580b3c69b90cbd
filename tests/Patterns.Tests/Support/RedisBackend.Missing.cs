namespace DistributedPatterns.Tests.Support;

public sealed partial class RedisBackend
{
    static partial void OnMissing(string reason)
    {
        if (Environment.GetEnvironmentVariable("CI") is "true")
            Assert.Fail(reason);
        Assert.Skip(reason);
    }
}
