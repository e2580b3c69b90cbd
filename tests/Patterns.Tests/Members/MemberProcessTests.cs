using DistributedPatterns.Tests.Support;
using Grpc.Core;

namespace DistributedPatterns.Tests.Members;

/// <summary>What happens to members and to calls among them when processes die, freeze and come back.</summary>
public sealed class MemberProcessTests(SharedRedis shared)
{
    private static readonly TimeSpan s_lease = TimeSpan.FromSeconds(4);

    // The lease and a beat of the onlooker. A machine so busy that the onlooker's own call to Redis is late takes that for an
    // outage, and then the missing get another lease and 10 seconds to come back.
    private static readonly TimeSpan s_noticed = TimeSpan.FromSeconds(40);

    [Theory]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Who_ThreeMembers_EachGetsItsShare(RedisKind kind)
    {
        // A lease so long that nobody is thought dead while the shares are counted.
        await using var fleet = await MemberFleet.StartAsync(await shared.OfAsync(kind), TimeSpan.FromSeconds(15));
        await fleet.AddAsync("a", "b", "c");
        var client = fleet.Anyone;
        var seen = new HashSet<string>();
        // Connections open one by one, so the first calls may all go to one member.
        await Eventually.TrueAsync(
            async () =>
            {
                seen.Add((await EchoCalls.WhoAsync(client, TimeSpan.FromSeconds(10))).Member);
                return seen.Count == 3;
            },
            TimeSpan.FromSeconds(20), () => string.Join(", ", seen));
        var shares = new Dictionary<string, int>();
        for (var i = 0; i < 30; i++)
        {
            var member = (await EchoCalls.WhoAsync(client, TimeSpan.FromSeconds(10))).Member;
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
        using var held = EchoCalls.HoldAsync(new Echo.EchoClient(fleet.Channels.To(gone)), TimeSpan.FromSeconds(60));

        await b.KillAsync();

        Assert.Equal(StatusCode.Unavailable, (await Assert.ThrowsAsync<RpcException>(() => held.ResponseAsync)).StatusCode);
        await fleet.LiveIsAsync(s_noticed, "a");
        await IsCancelledAsync(gone.Left);
        Assert.Equal("worker-a", (await EchoCalls.WhoAsync(fleet.Anyone, TimeSpan.FromSeconds(10))).Member);
    }

    [Fact]
    public async Task Who_MemberFrozen_CallInFlightIsUnavailableAndTheMemberComesBack()
    {
        await using var fleet = await MemberFleet.StartAsync(await shared.OfAsync(RedisKind.Garnet), s_lease);
        var a = await fleet.LaunchAsync("a");
        await fleet.LiveIsAsync(TimeSpan.FromSeconds(30), "a");
        var frozen = fleet.Get("a");
        var client = fleet.Anyone;
        await EchoCalls.WhoAsync(client, TimeSpan.FromSeconds(10));
        using var held = EchoCalls.HoldAsync(client, TimeSpan.FromSeconds(60));

        await a.PauseAsync();

        var ended = await Assert.ThrowsAsync<RpcException>(() => held.ResponseAsync.WaitAsync(s_noticed, TimeProvider.System, TestContext.Current.CancellationToken));
        Assert.True(ended.StatusCode == StatusCode.Unavailable, ended.ToString());
        await fleet.LiveIsAsync(s_noticed);
        await IsCancelledAsync(frozen.Left);

        await a.ResumeAsync();
        await fleet.LiveIsAsync(s_noticed, "a");
        Assert.False(fleet.Get("a").Left.IsCancellationRequested);
        Assert.Equal("worker-a", (await EchoCalls.WhoAsync(client, TimeSpan.FromSeconds(10))).Member);
    }

    [Fact]
    public async Task Stop_Gracefully_LeavesAtOnce()
    {
        // A lease so long that only a goodbye can explain what is seen.
        await using var fleet = await MemberFleet.StartAsync(await shared.OfAsync(RedisKind.Garnet), TimeSpan.FromSeconds(9));
        var a = await fleet.LaunchAsync("a");
        await fleet.LiveIsAsync(TimeSpan.FromSeconds(30), "a");
        Assert.Equal(0, await a.StopAsync());
        Assert.Empty(await fleet.ListAsync());
        await fleet.LiveIsAsync(s_noticed);
    }

    [Fact]
    public async Task Who_NobodyAliveYet_WaitsForTheFirstMemberWithinItsDeadline()
    {
        await using var fleet = await MemberFleet.StartAsync(await shared.OfAsync(RedisKind.Garnet), s_lease);
        var late = await Assert.ThrowsAsync<RpcException>(() => EchoCalls.WhoAsync(fleet.Anyone, TimeSpan.FromSeconds(1)).ResponseAsync);
        Assert.Equal(StatusCode.DeadlineExceeded, late.StatusCode);

        using var waiting = EchoCalls.WhoAsync(fleet.Anyone, TimeSpan.FromSeconds(30));
        await fleet.AddAsync("a");
        Assert.Equal("worker-a", (await waiting).Member);
    }

    [Fact]
    public async Task Who_TheLastMemberLeft_WaitsForTheNext()
    {
        await using var fleet = await MemberFleet.StartAsync(await shared.OfAsync(RedisKind.Garnet), s_lease);
        var a = await fleet.LaunchAsync("a");
        var client = fleet.Anyone;
        await EchoCalls.WhoAsync(client, TimeSpan.FromSeconds(30));
        await a.KillAsync();
        await fleet.LiveIsAsync(s_noticed);

        // The balancer hears of it a moment later: until then a call goes to the member that is gone, and fails.
        AsyncUnaryCall<WhoReply>? waiting = null;
        await Eventually.TrueAsync(
            async () =>
            {
                waiting = EchoCalls.WhoAsync(client, TimeSpan.FromSeconds(30));
                return await Task.WhenAny(waiting.ResponseAsync, Task.Delay(TimeSpan.FromSeconds(1), TimeProvider.System, TestContext.Current.CancellationToken)) != waiting.ResponseAsync;
            },
            s_noticed, () => "no call waits");
        await fleet.AddAsync("b");
        Assert.Equal("worker-b", (await waiting!).Member);
    }

    // The new set is to be seen before the token is cancelled, so that who is told finds another member.
    private static Task IsCancelledAsync(CancellationToken left) =>
        Eventually.TrueAsync(() => left.IsCancellationRequested, s_noticed, () => "the token of the member that left is not cancelled");
}
