using DistributedPatterns.Pipeline;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.Pipeline;

/// <summary>The invariants of <c>runs.lua</c>: one driver at a time, epochs that only rise, and nothing that an older one does counts.</summary>
public sealed class RedisRunStoreTests(SharedRedis shared)
{
    public static TheoryData<RedisKind> Kinds => [RedisKind.Garnet, RedisKind.Redis];

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Claim_ByManyAtOnce_GivesEachRunToOne(RedisKind kind)
    {
        await using var redis = await (await shared.OfAsync(kind)).ConnectAsync();
        var store = NewStore(redis);
        for (var i = 0; i < 40; i++) await store.CreateAsync($"run-{i}", Request);

        var claims = await Task.WhenAll(Enumerable.Range(0, 100).Select(_ => store.ClaimAsync()));

        var claimed = claims.OfType<ClaimedRun>().ToArray();
        Assert.Equal(40, claimed.Length);
        Assert.Distinct(claimed.Select(run => run.Id));
        Assert.All(claimed, run => Assert.Equal(1, run.Attempts));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Claim_AfterTheLeaseRanOut_HasAHigherEpochAndFencesTheOlder(RedisKind kind)
    {
        await using var redis = await (await shared.OfAsync(kind)).ConnectAsync();
        var store = NewStore(redis, options => options.Lease = TimeSpan.FromSeconds(3));
        await store.CreateAsync("run", Request);
        var older = (await store.ClaimAsync())!;

        ClaimedRun? newer = null;
        await Eventually.TrueAsync(async () => (newer = await store.ClaimAsync()) is not null, TimeSpan.FromSeconds(10), () => "the lease still stands");

        Assert.True(newer!.Epoch > older.Epoch, $"{newer.Epoch} after {older.Epoch}");
        Assert.Equal(2, newer.Attempts);
        Assert.False((await store.RenewAsync("run", older.Epoch, Status("run", PipelineState.Running))).Held);
        Assert.Null(await store.ReplayAsync("run", older.Epoch));
        Assert.False(await store.FinishAsync("run", older.Epoch, Status("run", PipelineState.Failed)));
        Assert.True(await store.FinishAsync("run", newer.Epoch, Status("run", PipelineState.Completed)));
        Assert.Equal(PipelineState.Completed, (await store.GetAsync("run"))!.State);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Renew_AnExpiredLeaseThatNobodyTook_IsHeldAgain(RedisKind kind)
    {
        await using var redis = await (await shared.OfAsync(kind)).ConnectAsync();
        var tag = SharedRedis.NewTag();
        var store = NewStore(redis, options => (options.KeyTag, options.Lease) = (tag, TimeSpan.FromSeconds(1)));
        var renewing = NewStore(redis, options => options.KeyTag = tag); // for long enough
        await store.CreateAsync("run", Request);
        var run = (await store.ClaimAsync())!;
        await Eventually.TrueAsync(async () => (await store.GetAsync("run"))!.State == PipelineState.Waiting, TimeSpan.FromSeconds(10), () => "the lease still stands");

        Assert.True((await renewing.RenewAsync("run", run.Epoch, Status("run", PipelineState.Running))).Held);
        Assert.Null(await store.ClaimAsync());
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Replay_ByItsDriver_RaisesTheEpochAndFencesTheOlder(RedisKind kind)
    {
        await using var redis = await (await shared.OfAsync(kind)).ConnectAsync();
        var store = NewStore(redis);
        await store.CreateAsync("run", Request);
        var run = (await store.ClaimAsync())!;

        var epochs = new List<long> { run.Epoch };
        for (var i = 0; i < 20; i++) epochs.Add((await store.ReplayAsync("run", epochs[^1]))!.Value);

        Assert.Equal(epochs.Distinct().Order(), epochs);
        Assert.Null(await store.ReplayAsync("run", run.Epoch));
        Assert.False(await store.FinishAsync("run", epochs[^2], Status("run", PipelineState.Completed)));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Finish_SentAgain_SaysTheSameAndChangesNothing(RedisKind kind)
    {
        await using var redis = await (await shared.OfAsync(kind)).ConnectAsync();
        var store = NewStore(redis);
        await store.CreateAsync("run", Request);
        var run = (await store.ClaimAsync())!;

        Assert.True(await store.FinishAsync("run", run.Epoch, Status("run", PipelineState.Completed)));
        Assert.True(await store.FinishAsync("run", run.Epoch, Status("run", PipelineState.Failed)));

        Assert.Equal(PipelineState.Completed, (await store.GetAsync("run"))!.State);
        Assert.False((await store.RenewAsync("run", run.Epoch, Status("run", PipelineState.Running))).Held);
        Assert.Null(await store.ClaimAsync());
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Release_ByItsDriver_LetsAnotherTakeItAtOnceWithoutCountingTheAttempt(RedisKind kind)
    {
        await using var redis = await (await shared.OfAsync(kind)).ConnectAsync();
        var store = NewStore(redis);
        await store.CreateAsync("run", Request);
        var first = (await store.ClaimAsync())!;

        await store.ReleaseAsync("run", first.Epoch);
        var second = await store.ClaimAsync();

        Assert.Equal(1, second!.Attempts);
        Assert.True(second.Epoch > first.Epoch);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Create_ByManyAtOnce_NeverExceedsTheBound(RedisKind kind)
    {
        await using var redis = await (await shared.OfAsync(kind)).ConnectAsync();
        var store = NewStore(redis, options => options.MaxRuns = 10);

        var created = await Task.WhenAll(Enumerable.Range(0, 100).Select(async i =>
        {
            try
            {
                await store.CreateAsync($"run-{i}", Request);
                return true;
            }
            catch (PipelineFullException full)
            {
                Assert.Equal(10, full.Limit);
                return false;
            }
        }));

        Assert.Equal(10, created.Count(ok => ok));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Stop_WhileDriven_IsSeenAtTheNextRenewalAndStaysAnAbort(RedisKind kind)
    {
        await using var redis = await (await shared.OfAsync(kind)).ConnectAsync();
        var store = NewStore(redis);
        await store.CreateAsync("run", Request);
        var run = (await store.ClaimAsync())!;

        await store.StopAsync("run", PipelineStop.Abort, Status("run", PipelineState.Aborted));
        await store.StopAsync("run", PipelineStop.Drain, Status("run", PipelineState.Aborted));

        Assert.Equal((true, PipelineStop.Abort), await store.RenewAsync("run", run.Epoch, Status("run", PipelineState.Running)));
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Get_LongAfterTheEnd_HasForgottenTheRun(RedisKind kind)
    {
        await using var redis = await (await shared.OfAsync(kind)).ConnectAsync();
        var store = NewStore(redis, options => options.KeepEnded = TimeSpan.FromMilliseconds(100));
        await store.CreateAsync("run", Request);
        await store.FinishAsync("run", (await store.ClaimAsync())!.Epoch, Status("run", PipelineState.Completed));

        // Whoever looks for work forgets what is old; no janitor is needed.
        await Eventually.TrueAsync(async () =>
        {
            await store.ClaimAsync();
            return await store.GetAsync("run") is null;
        }, TimeSpan.FromSeconds(10), () => "the run is still known");
    }

    private static StoredRequest Request { get; } = new("numbers", "1", null);

    private static PipelineStatus Status(string id, PipelineState state) => new() { Id = id, Pipeline = "numbers", Input = "1", State = state };

    private static RedisRunStore NewStore(ConnectionMultiplexer redis, Action<GrpcPipelineOptions>? configure = null)
    {
        // Only a test that waits for a lease's end gives a shorter one.
        var options = new GrpcPipelineOptions { KeyTag = SharedRedis.NewTag(), Lease = TimeSpan.FromMinutes(1) };
        configure?.Invoke(options);
        return new RedisRunStore(redis, Options.Create(options));
    }
}
