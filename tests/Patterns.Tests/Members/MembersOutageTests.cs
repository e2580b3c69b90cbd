using DistributedPatterns.Members;
using DistributedPatterns.Tests.Support;
using Grpc.Core;

namespace DistributedPatterns.Tests.Members;

/// <summary>Fail static: what Redis does not say does not happen.</summary>
public sealed class MembersOutageTests
{
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
        using var held = EchoCalls.HoldAsync(fleet.Anyone, TimeSpan.FromSeconds(120));

        await server.PauseAsync();
        await StaysAsync(TimeSpan.FromSeconds(away));
        Assert.NotEmpty((await EchoCalls.WhoAsync(fleet.Anyone, TimeSpan.FromSeconds(10))).Member);
        await server.ResumeAsync();

        // Their leases ran out meanwhile; they take them up again under the starts that they had.
        await Eventually.TrueAsync(
            async () => (await fleet.ListAsync()).SequenceEqual(before.Select(member => $"{member.Id} {member.Start}")),
            TimeSpan.FromSeconds(30), () => $"they did not come back. They said:\n{fleet.Output}");
        await StaysAsync(TimeSpan.FromSeconds(lease * 2));
        // A ping that a busy machine answers too late ends the connection; that is not what is tested here.
        if (held.ResponseAsync.IsCompleted)
            Assert.Contains("stopped answering", (await Assert.ThrowsAsync<RpcException>(() => held.ResponseAsync)).ToString(), StringComparison.Ordinal);

        Task StaysAsync(TimeSpan time) => Eventually.StaysTrueAsync(
            () => fleet.Live.SequenceEqual(before) && before.All(member => !member.Left.IsCancellationRequested),
            time, () => $"alive are [{string.Join(", ", fleet.Live)}]. They said:\n{fleet.Output}");
    }
}
