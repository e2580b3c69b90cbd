using DistributedPatterns.Tests.Support;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.Cluster;

/// <summary>A pattern's own client at work on a cluster, while the master of its keys fails over.</summary>
internal abstract class ScriptUser
{
    protected static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    /// <summary>Gets one user of every script. A script that nobody uses here fails <see cref="ClusterTests"/>.</summary>
    public static IReadOnlyList<ScriptUser> All { get; } =
        [
            new ProbeUser(), new MembersUser(), new RunsUser(), new LimitersUser(), new QueueUser(),
            new WorkersUser(), new SupervisionUser(), new MapReduceUser(), new TopicUser(), new FlightsUser(),
            new EventLoopUser(), new PermitsUser(),
        ];

    /// <summary>Gets the scripts that the client runs, by their paths below the library's folder.</summary>
    public abstract IReadOnlyList<string> Scripts { get; }

    /// <summary>Works, lets <paramref name="failOver"/> happen in the middle, works on, and asserts what the pattern promises.</summary>
    /// <param name="cluster">Where.</param>
    /// <param name="redis">A connection to it.</param>
    /// <param name="tag">The hash tag of all keys.</param>
    /// <param name="failOver">Ends when another node has the keys. The last writes may be lost with the old one.</param>
    public abstract Task RunAsync(RedisCluster cluster, IConnectionMultiplexer redis, string tag, Func<Task> failOver);

    /// <summary>Calls until the cluster answers, as a client does that has to get through.</summary>
    protected static async Task<T> InsistAsync<T>(Func<Task<T>> call)
    {
        var result = default(T)!;
        var last = "";
        await Eventually.TrueAsync(
            async () =>
            {
                try
                {
                    result = await call();
                    return true;
                }
                catch (Exception e) when (e is RedisException or TimeoutException)
                {
                    last = e.Message;
                    return false;
                }
            }, Limit, () => last);
        return result;
    }
}
