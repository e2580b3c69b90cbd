using System.Globalization;
using DistributedPatterns.ResourcePooling;
using DistributedPatterns.ResourcePooling.Work;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.ResourcePooling;

/// <summary>Permits of processes that freeze, die or are cut off, and of a server that does.</summary>
public sealed class RedisPermitPoolFaultTests(SharedRedis shared) : IDisposable
{
    private const int HangLimit = 120_000;
    private static readonly TimeSpan s_lease = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(40);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("pool-tests-");

    private static CancellationToken TestStop => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Holder_FrozenPastItsLease_IsRefusedWhereItWrites(RedisKind kind)
    {
        var server = await shared.OfAsync(kind);
        await using var redis = await server.ConnectAsync();
        var tag = SharedRedis.NewTag();
        var lease = TimeSpan.FromSeconds(10);
        await using var holder = await StartHolderAsync(server, tag, lease: lease);
        var database = NewDatabase(tag);
        await using var pool = NewPool(redis, tag, database, TimeSpan.FromMinutes(1)); // not to be lost here
        await Eventually.StaysTrueAsync(() => !holder.Output.Contains("@lost", StringComparison.Ordinal), lease * 1.5, () => "renewals do not hold the lease");

        await holder.PauseAsync();
        var loan = await pool.AcquireAsync(s_limit, TestStop);
        await database.CountAsync(loan.Resource, loan.Permit, TestStop);
        await holder.ResumeAsync();

        await Eventually.TrueAsync(() => holder.Output.Contains("@write ", StringComparison.Ordinal), s_limit, () => holder.Output);
        Assert.Contains("@write PermitFencedException", holder.Output, StringComparison.Ordinal);
        Assert.Contains("@lost", holder.Output, StringComparison.Ordinal);
        Assert.Contains(string.Create(CultureInfo.InvariantCulture, $"@held {loan.Permit.Number} "), holder.Output, StringComparison.Ordinal);
        Assert.Equal(1, await database.UsesAsync(TestStop));
        await database.CountAsync(loan.Resource, loan.Permit, TestStop); // the new holder still may
        await loan.DisposeAsync();
        var permits = (await pool.GetStatsAsync(TestStop)).Permits!;
        Assert.Equal((1, permits.Held + permits.Released + permits.Expired), (permits.Expired, permits.Granted));
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Holder_Killed_GivesItsPermitsAndItsPlaceBackWithItsLease(RedisKind kind)
    {
        var server = await shared.OfAsync(kind);
        await using var redis = await server.ConnectAsync();
        var tag = SharedRedis.NewTag();
        await using var holder = await StartHolderAsync(server, tag);
        await using var inLine = await StartHolderAsync(server, tag, "@waiting");
        var database = NewDatabase(tag);
        await using var pool = NewPool(redis, tag, database, TimeSpan.FromMinutes(1));
        await Eventually.TrueAsync(async () => (await pool.GetStatsAsync(TestStop)).Permits!.Waiting == 1, s_limit, () => "the second one does not wait");
        var since = TimeProvider.System.GetTimestamp();

        await holder.KillAsync();
        await inLine.KillAsync();
        await using var loan = await pool.AcquireAsync(s_limit, TestStop);

        // A lease, and what a busy machine takes for the rest.
        Assert.True(TimeProvider.System.GetElapsedTime(since) < s_lease + TimeSpan.FromSeconds(10));
        var permits = (await pool.GetStatsAsync(TestStop)).Permits!;
        Assert.Equal((1, 0, 1), (permits.Held, permits.Waiting, permits.Processes));
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Process_CutOff_HearsOfItBeforeOthersGetItsPermits(RedisKind kind)
    {
        var server = await shared.OfAsync(kind);
        await using var redis = await server.ConnectAsync();
        var cut = await server.ConnectAsync();
        var (tag, resources) = (SharedRedis.NewTag(), new TestResources());
        var lease = TimeSpan.FromSeconds(30); // a tenth of it is what a busy machine may take to close what was open
        await using var lonely = NewPool(cut, tag, resources, lease);
        await using var pool = NewPool(redis, tag, resources, lease);
        var loan = await lonely.AcquireAsync(s_limit, TestStop);
        using var lost = loan.Lost.Register(() => _ = loan.DisposeAsync().AsTask());

        await cut.CloseAsync(allowCommandsToComplete: false);
        await using var next = await pool.AcquireAsync(s_limit, TestStop);

        Assert.Equal(1, resources.MostOpen);
        await Eventually.TrueAsync(() => Record.Exception(() => loan.Resource) is ResourceReturnedException, s_limit, () => "it is still lent");
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Server_Killed_IsFollowedByOthersUnderHigherTokens(RedisKind kind)
    {
        await using var server = await RedisBackend.StartAsync(kind);
        await using var redis = await server.ConnectAsync();
        var (tag, resources) = (SharedRedis.NewTag(), new TestResources());
        await using var pool = NewPool(redis, tag, resources);
        var before = await pool.AcquireAsync(s_limit, TestStop);
        var permit = before.Permit;

        await server.KillAsync();
        await Eventually.TrueAsync(() => before.Lost.IsCancellationRequested, s_limit, () => "the holder was not told");
        await before.DisposeAsync();
        await server.RestartAsync();
        await using var after = await pool.AcquireAsync(s_limit, TestStop);

        Assert.Equal(permit.Number, after.Permit.Number);
        Assert.True(after.Permit.Token > permit.Token, $"{after.Permit} after {permit}");
        Assert.Equal(1, (await pool.GetStatsAsync(TestStop)).Counters.ClosedBecause[CloseReason.Lost]);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task Server_Frozen_RefusesCallersInTimeAndLendsAgainWhenItThaws(RedisKind kind)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has no SIGSTOP.");
        var acquireLimit = TimeSpan.FromSeconds(1);
        await using var server = await RedisBackend.StartAsync(kind);
        await using var redis = await ConnectionMultiplexer.ConnectAsync(server.ConnectionString + ",abortConnect=false,asyncTimeout=30000,syncTimeout=30000");
        var (tag, resources) = (SharedRedis.NewTag(), new TestResources());
        await using var pool = NewPool(redis, tag, resources);
        var before = await pool.AcquireAsync(s_limit, TestStop);

        await server.PauseAsync();
        var since = TimeProvider.System.GetTimestamp();
        var callers = Enumerable.Range(0, 5).Select(_ => Assert.ThrowsAsync<PoolExhaustedException>(async () => await pool.AcquireAsync(acquireLimit, TestStop)));
        await Task.WhenAll(callers);
        // The limit, and what a busy machine takes for the rest; not as long as a connection waits for an answer.
        Assert.True(TimeProvider.System.GetElapsedTime(since) < acquireLimit + TimeSpan.FromSeconds(15), $"{TimeProvider.System.GetElapsedTime(since)}");
        await Eventually.TrueAsync(() => before.Lost.IsCancellationRequested, s_limit, () => "the holder was not told");
        await before.DisposeAsync();
        await server.ResumeAsync();

        await using (await pool.AcquireAsync(s_limit, TestStop)) { }
        await Eventually.TrueAsync(
            async () => (await pool.GetStatsAsync(TestStop)) is { Permits: { Waiting: 0 } permits, Ledger: { Active: 0 } } && permits.Granted == permits.Held + permits.Released + permits.Expired,
            s_limit, () => "permits do not add up");
        Assert.Equal(1, resources.MostOpen);
    }

    private DatabaseConnections NewDatabase(string tag) => new(Options.Create(new DatabaseOptions { SqliteFile = Path.Combine(_folder.FullName, "uses.db") }), tag);

    private static RedisPermitPool<T> NewPool<T>(ConnectionMultiplexer redis, string tag, IResourceFactory<T> factory, TimeSpan? lease = null) where T : class => new(
        redis, "held", factory, new RedisPermitPoolOptions { Permits = 1, Lease = lease ?? s_lease, KeyTag = tag }, TimeProvider.System, NullLogger<RedisPermitPool<T>>.Instance);

    private async Task<WatchedProcess> StartHolderAsync(RedisBackend server, string tag, string until = "@held", TimeSpan? lease = null)
    {
        var holder = await WatchedProcess.StartBuiltAsync("MemberProcess", new Dictionary<string, string>
        {
            ["ConnectionStrings__redis"] = server.ConnectionString,
            ["ASPNETCORE_URLS"] = "http://127.0.0.1:0",
            ["Members__Group"] = tag,
            ["Data__Path"] = _folder.FullName,
            ["Patterns__ResourcePooling__held__KeyTag"] = tag,
            ["Patterns__ResourcePooling__held__Permits"] = "1",
            ["Patterns__ResourcePooling__held__AcquireLimit"] = "00:10:00",
            ["Patterns__ResourcePooling__held__Lease"] = (lease ?? s_lease).ToString("c", CultureInfo.InvariantCulture),
            ["Patterns__ResourcePooling__Storage__SqliteFile"] = Path.Combine(_folder.FullName, "uses.db"),
        });
        await Eventually.TrueAsync(() => holder.Output.Contains(until, StringComparison.Ordinal), s_limit, () => holder.Output);
        return holder;
    }
}
