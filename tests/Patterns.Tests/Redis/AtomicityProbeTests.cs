using System.Diagnostics;
using DistributedPatterns.Redis;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.Redis;

public sealed class AtomicityProbeTests(SharedRedis shared)
{
    [Theory]
    [InlineData(RedisKind.Redis)]
    [InlineData(RedisKind.Garnet)]
    public async Task CheckAsync_AtomicServer_Passes(RedisKind kind)
    {
        await using var redis = await (await shared.OfAsync(kind)).ConnectAsync();
        await AtomicityProbe.CheckAsync(redis);
    }

    [Fact]
    public async Task CheckAsync_GarnetWithoutTransactionMode_NamesTheFlag()
    {
        await using var redis = await (await shared.OfAsync(RedisKind.GarnetWithoutTransactionMode)).ConnectAsync();
        // By chance no two scripts overlap in all of its rounds, on a server that is just starting several times in a row.
        NotAtomicException? refused = null;
        for (var tries = Stopwatch.StartNew(); refused is null && tries.Elapsed < TimeSpan.FromSeconds(30);) refused = await Record.ExceptionAsync(() => AtomicityProbe.CheckAsync(redis)) as NotAtomicException;
        Assert.NotNull(refused);
        Assert.Contains("--lua-transaction-mode", refused.Message, StringComparison.Ordinal);
        Assert.InRange(refused.Counted, 1, 199);
    }

    [Fact]
    public async Task Start_ServerNotAtomic_StopsTheProcess()
    {
        var server = await shared.OfAsync(RedisKind.GarnetWithoutTransactionMode);
        for (var attempt = 1; ; attempt++)
        {
            await using var member = await WatchedProcess.StartBuiltAsync("MemberProcess", new Dictionary<string, string>
            {
                ["ConnectionStrings__redis"] = server.ConnectionString,
                ["ASPNETCORE_URLS"] = "http://127.0.0.1:0",
            });
            var exit = member.ExitAsync();
            if (attempt < 5 && await Task.WhenAny(exit, Task.Delay(TimeSpan.FromSeconds(20), TimeProvider.System, TestContext.Current.CancellationToken)) != exit) continue; // as above
            Assert.Equal(1, await exit);
            Assert.Contains("--lua-transaction-mode", member.Output, StringComparison.Ordinal);
            return;
        }
    }

    [Fact]
    public async Task Start_ServerAway_WaitsAndPassesWhenItIsThere()
    {
        await using var server = await RedisBackend.StartAsync(RedisKind.Garnet);
        await server.KillAsync();
        await using var redis = await server.ConnectAsync();
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddSingleton<IConnectionMultiplexer>(redis).AddRedisAtomicityProbe();
        using var host = builder.Build();
        await host.StartAsync(TestContext.Current.CancellationToken);
        var probe = host.Services.GetRequiredService<AtomicityProbe>();
        Assert.False(probe.Passed.IsCompleted);

        await server.RestartAsync();
        await probe.Passed.WaitAsync(TimeSpan.FromSeconds(30), TimeProvider.System, TestContext.Current.CancellationToken);
        await host.StopAsync(TestContext.Current.CancellationToken);
    }
}
