using DistributedPatterns.Members;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.Cluster;

/// <summary>Members: a failover is an outage, in which nobody leaves, and after which new ones are seen.</summary>
internal sealed class MembersUser : ScriptUser
{
    private static readonly TimeSpan s_lease = TimeSpan.FromSeconds(6);

    public override IReadOnlyList<string> Scripts => ["Members/members.lua"];

    public override async Task RunAsync(RedisCluster cluster, IConnectionMultiplexer redis, string tag, Func<Task> failOver)
    {
        using var a = await StartAsync(redis, tag, "a");
        using var b = await StartAsync(redis, tag, "b");
        await SeesAsync(a, "a", "b");
        IReadOnlyList<Member> before = Live(a);

        await failOver();

        using var c = await StartAsync(redis, tag, "c");
        await SeesAsync(a, "a", "b", "c");
        await SeesAsync(c, "a", "b", "c");
        // The same starts: nobody had to begin anew, and nobody was told that another left.
        Assert.Equal(before, Live(a).Where(member => member.Id != "c"));
        Assert.All(before, member => Assert.False(member.Left.IsCancellationRequested));
        Assert.True(Live(a).Single(member => member.Id == "c").Start.CompareTo(before.Max(member => member.Start)) > 0);
        foreach (var host in (IHost[])[a, b, c]) await host.StopAsync(TestContext.Current.CancellationToken);
    }

    private static async Task<IHost> StartAsync(IConnectionMultiplexer redis, string tag, string id)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddSingleton(redis).AddLogging().AddMembers(options => (options.Role, options.Id, options.Group, options.Lease) = ("test", id, tag, s_lease));
        var host = builder.Build();
        await host.StartAsync(TestContext.Current.CancellationToken);
        return host;
    }

    private static IReadOnlyList<Member> Live(IHost host) => host.Services.GetRequiredService<IMembers>().Live("test");

    private static Task SeesAsync(IHost host, params string[] ids) => Eventually.TrueAsync(
        () => Live(host).Select(member => member.Id).Order(StringComparer.Ordinal).SequenceEqual(ids), Limit,
        () => $"alive are [{string.Join(", ", Live(host).Select(member => member.Id))}], wanted [{string.Join(", ", ids)}]");
}
