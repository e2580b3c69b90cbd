using DistributedPatterns.Members;
using DistributedPatterns.Tests.Support;
using Grpc.Core;

namespace DistributedPatterns.Tests.Members;

/// <summary>What happens to members and to calls among them when processes die, freeze and come back.</summary>
public sealed class MemberProcessTests(SharedRedis shared)
{
    private static readonly TimeSpan s_lease = TimeSpan.FromSeconds(1.5);

    // Lease, a beat of the onlooker, and a busy machine.
    private static readonly TimeSpan s_noticed = s_lease * 4;

    private static AsyncUnaryCall<WhoReply> WhoAsync(Echo.EchoClient client, TimeSpan limit) => AskAsync(client, new WhoRequest(), limit);

    private static AsyncUnaryCall<WhoReply> HoldAsync(Echo.EchoClient client, TimeSpan limit) => AskAsync(client, new WhoRequest { Hold = true }, limit);

    private static AsyncUnaryCall<WhoReply> AskAsync(Echo.EchoClient client, WhoRequest request, TimeSpan limit) => client.WhoAsync(
        request, deadline: (TimeProvider.System.GetUtcNow() + limit).UtcDateTime, cancellationToken: TestContext.Current.CancellationToken);

    [Theory]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Who_ThreeMembers_EachGetsItsShare(RedisKind kind)
    {
        await using var fleet = await MemberFleet.StartAsync(await shared.OfAsync(kind), s_lease);
        await fleet.AddAsync("a", "b", "c");
        var client = fleet.Anyone;
        var seen = new HashSet<string>();
        // Connections open one by one, so the first calls may all go to one member.
        await Eventually.TrueAsync(
            async () =>
            {
                seen.Add((await WhoAsync(client, TimeSpan.FromSeconds(10))).Member);
                return seen.Count == 3;
            },
            TimeSpan.FromSeconds(20), () => string.Join(", ", seen));
        var shares = new Dictionary<string, int>();
        for (var i = 0; i < 30; i++)
        {
            var member = (await WhoAsync(client, TimeSpan.FromSeconds(10))).Member;
            shares[member] = shares.GetValueOrDefault(member) + 1;
        }
        Assert.Equal([10, 10, 10], shares.Values);
    }

    [Fact]
    public async Task Live_MemberKilled_LeavesWithinItsLeaseAndItsCallsEnd()
    {
        await using var fleet = await MemberFleet.StartAsync(await shared.OfAsync(RedisKind.Garnet), s_lease);
        await fleet.AddAsync("a");
        var b = await fleet.LaunchAsync("b");
        await fleet.LiveIsAsync(TimeSpan.FromSeconds(30), "a", "b");
        var gone = fleet.Get("b");
        using var held = HoldAsync(new Echo.EchoClient(fleet.Channels.To(gone)), TimeSpan.FromSeconds(60));

        await b.KillAsync();

        Assert.Equal(StatusCode.Unavailable, (await Assert.ThrowsAsync<RpcException>(() => held.ResponseAsync)).StatusCode);
        await fleet.LiveIsAsync(s_noticed, "a");
        Assert.True(gone.Left.IsCancellationRequested);
        Assert.Equal("worker-a", (await WhoAsync(fleet.Anyone, TimeSpan.FromSeconds(10))).Member);
    }

    [Fact]
    public async Task Who_MemberFrozen_CallInFlightIsUnavailableAndTheMemberComesBack()
    {
        await using var fleet = await MemberFleet.StartAsync(await shared.OfAsync(RedisKind.Garnet), s_lease);
        var a = await fleet.LaunchAsync("a");
        await fleet.LiveIsAsync(TimeSpan.FromSeconds(30), "a");
        var frozen = fleet.Get("a");
        var client = fleet.Anyone;
        await WhoAsync(client, TimeSpan.FromSeconds(10));
        using var held = HoldAsync(client, TimeSpan.FromSeconds(60));

        await a.PauseAsync();

        var ended = await Assert.ThrowsAsync<RpcException>(() => held.ResponseAsync.WaitAsync(s_noticed, TimeProvider.System, TestContext.Current.CancellationToken));
        Assert.Equal(StatusCode.Unavailable, ended.StatusCode);
        await fleet.LiveIsAsync(s_noticed);
        Assert.True(frozen.Left.IsCancellationRequested);

        await a.ResumeAsync();
        await fleet.LiveIsAsync(s_noticed, "a");
        Assert.False(fleet.Get("a").Left.IsCancellationRequested);
        Assert.Equal("worker-a", (await WhoAsync(client, TimeSpan.FromSeconds(10))).Member);
    }

    [Fact]
    public async Task Stop_Gracefully_LeavesAtOnce()
    {
        // A lease so long that only a goodbye can explain what is seen.
        await using var fleet = await MemberFleet.StartAsync(await shared.OfAsync(RedisKind.Garnet), TimeSpan.FromSeconds(9));
        var a = await fleet.LaunchAsync("a");
        await fleet.LiveIsAsync(TimeSpan.FromSeconds(30), "a");
        Assert.Equal(0, await a.StopAsync());
        await fleet.LiveIsAsync(TimeSpan.FromSeconds(5));
    }

    [Fact]
    public async Task Who_NobodyAliveYet_WaitsForTheFirstMemberWithinItsDeadline()
    {
        await using var fleet = await MemberFleet.StartAsync(await shared.OfAsync(RedisKind.Garnet), s_lease);
        var late = await Assert.ThrowsAsync<RpcException>(() => WhoAsync(fleet.Anyone, TimeSpan.FromSeconds(1)).ResponseAsync);
        Assert.Equal(StatusCode.DeadlineExceeded, late.StatusCode);

        using var waiting = WhoAsync(fleet.Anyone, TimeSpan.FromSeconds(30));
        await fleet.AddAsync("a");
        Assert.Equal("worker-a", (await waiting).Member);
    }

    [Fact]
    public async Task Who_TheLastMemberLeft_WaitsForTheNext()
    {
        await using var fleet = await MemberFleet.StartAsync(await shared.OfAsync(RedisKind.Garnet), s_lease);
        var a = await fleet.LaunchAsync("a");
        var client = fleet.Anyone;
        await WhoAsync(client, TimeSpan.FromSeconds(30));
        await a.KillAsync();
        await fleet.LiveIsAsync(s_noticed);

        using var waiting = WhoAsync(client, TimeSpan.FromSeconds(30));
        await fleet.AddAsync("b");
        Assert.Equal("worker-b", (await waiting).Member);
    }

    [Theory]
    [InlineData(RedisKind.Garnet, 1.5, 5)]
    [InlineData(RedisKind.Garnet, 3, 10)]
    [InlineData(RedisKind.Redis, 1.5, 5)]
    public async Task Live_RedisFrozen_NobodyLeavesAndCallsGoOn(RedisKind kind, double lease, double away)
    {
        await using var server = await RedisBackend.StartAsync(kind);
        await using var fleet = await MemberFleet.StartAsync(server, TimeSpan.FromSeconds(lease));
        await fleet.AddAsync("a", "b");
        IReadOnlyList<Member> before = fleet.Live;
        using var held = HoldAsync(fleet.Anyone, TimeSpan.FromSeconds(120));

        await server.PauseAsync();
        await StaysAsync(TimeSpan.FromSeconds(away));
        Assert.NotEmpty((await WhoAsync(fleet.Anyone, TimeSpan.FromSeconds(10))).Member);
        await server.ResumeAsync();

        // Longer than the lease that the missing get to come back.
        await StaysAsync(TimeSpan.FromSeconds(lease * 2.5));
        Assert.False(held.ResponseAsync.IsCompleted);

        Task StaysAsync(TimeSpan time) => Eventually.StaysTrueAsync(
            () => fleet.Live.SequenceEqual(before) && before.All(member => !member.Left.IsCancellationRequested),
            time, () => $"alive are [{string.Join(", ", fleet.Live)}]. They said:\n{fleet.Output}");
    }
}
