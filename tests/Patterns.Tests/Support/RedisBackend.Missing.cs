namespace DistributedPatterns.Tests.Support;

public sealed partial class RedisBackend
{
    static partial void OnMissing(string reason) => MissingServer.Skip(reason);
}
