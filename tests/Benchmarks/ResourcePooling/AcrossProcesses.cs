using DistributedPatterns.Benchmarks.Deadlines;
using DistributedPatterns.Benchmarks.Harness;
using DistributedPatterns.Deadlines.Protocol;
using DistributedPatterns.Members;
using DistributedPatterns.ResourcePooling;
using Google.Protobuf;
using Medallion.Threading.Redis;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using StackExchange.Redis;

namespace DistributedPatterns.Benchmarks.ResourcePooling;

/// <summary>64 callers of one process that each take a permit and give it back, over and over.</summary>
internal abstract class PermitCallers(string name, int operations, SharedServices shared) : ThroughputContender(name, operations)
{
    protected const int Callers = 64;

    public sealed override async Task<string?> SetUpAsync() => await OpenAsync(await shared.StartAsync());

    public override ValueTask TearDownAsync() => shared.StopAsync();

    public sealed override async Task<TimeSpan?> RunAsync(int operations)
    {
        var each = operations / Callers;
        await Task.WhenAll(Enumerable.Range(0, Callers).Select(_ => Task.Run(async () =>
        {
            for (var i = 0; i < each; i++) await OnceAsync();
        })));
        return null;
    }

    /// <returns>Why it cannot run here, if so.</returns>
    protected abstract Task<string?> OpenAsync(Services services);

    protected abstract ValueTask OnceAsync();
}

/// <summary>Ours. As a rule a resource stays open and keeps its permit; closed each time, every loan is a round trip for a permit.</summary>
internal sealed class OurPermits(string name, int operations, SharedServices shared, bool closesEachTime) : PermitCallers(name, operations, shared)
{
    private RedisPermitPool<Thing> _pool = null!;

    public override async ValueTask TearDownAsync()
    {
        if (_pool is not null) await _pool.DisposeAsync();
        await base.TearDownAsync();
    }

    protected override Task<string?> OpenAsync(Services services)
    {
        var options = new RedisPermitPoolOptions { Capacity = Callers, Permits = Callers, MaxOpening = Callers, ResetOnReturn = false, KeyTag = Guid.NewGuid().ToString("N") };
        _pool = new RedisPermitPool<Thing>(services.Connection, "benchmark", new Things(), options, TimeProvider.System, NullLogger<RedisPermitPool<Thing>>.Instance);
        return Task.FromResult<string?>(null);
    }

    protected override async ValueTask OnceAsync()
    {
        await using var loan = await _pool.AcquireAsync();
        loan.Resource.Use();
        if (closesEachTime) loan.MarkBroken();
    }
}

/// <summary>The semaphore of the library DistributedLock, which gives permits in no order and has no fence.</summary>
internal sealed class DistributedLockSemaphore(string name, int operations, SharedServices shared) : PermitCallers(name, operations, shared)
{
    private RedisDistributedSemaphore _semaphore = null!;

    protected override async Task<string?> OpenAsync(Services services)
    {
        _semaphore = new RedisDistributedSemaphore(Guid.NewGuid().ToString("N"), Callers, services.Connection.GetDatabase());
        try
        {
            await OnceAsync();
            return null;
        }
        catch (Exception e) when (e is RedisException or MissingMethodException or TypeLoadException)
        {
            return $"for it does not work with this server or client: {e.Message}";
        }
    }

    protected override async ValueTask OnceAsync()
    {
        await using var permit = await _semaphore.AcquireAsync();
    }
}

/// <summary>What two answers of another process cost, whatever they say.</summary>
internal sealed class TwoUnaryCalls(string name, int operations, SharedServices shared) : PermitCallers(name, operations, shared)
{
    private readonly Call _call = new() { Operation = "at-once", Input = ByteString.CopyFrom(BitConverter.GetBytes(1)) };
    private Operations.OperationsClient _client = null!;

    protected override Task<string?> OpenAsync(Services services)
    {
        _client = new Operations.OperationsClient(services.Here.GetRequiredService<IMemberChannels>().To(RemoteOperations.Last));
        return Task.FromResult<string?>(null);
    }

    protected override async ValueTask OnceAsync()
    {
        await _client.RunAsync(_call);
        await _client.RunAsync(_call);
    }
}
