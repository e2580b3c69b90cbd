using System.Threading.Channels;
using DistributedPatterns.Benchmarks.Harness;
using DistributedPatterns.ResourcePooling;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.ObjectPool;

namespace DistributedPatterns.Benchmarks.ResourcePooling;

/// <summary>What is pooled: its one field is counted up while it is held, which goes wrong when two have it.</summary>
internal sealed class Thing
{
    public int Users;

    public void Use()
    {
        if (++Users != 1) throw new InvalidOperationException("Two have it.");
        Users--;
    }
}

internal sealed class Things : IResourceFactory<Thing>
{
    public ValueTask<Thing> OpenAsync(ResourcePermit permit, CancellationToken cancellationToken) => new(new Thing());

    public ValueTask CloseAsync(Thing resource) => default;
}

/// <summary>Threads that take and give back, as fast as they can, from a pool that has enough for all.</summary>
internal abstract class Loans(string name, int operations, int threads) : ThroughputContender(name, operations)
{
    public const int Capacity = 8;

    public override async Task<TimeSpan?> RunAsync(int operations)
    {
        await Task.WhenAll(Enumerable.Range(0, threads).Select(_ =>
            Task.Factory.StartNew(() => RunAsyncCore(operations / threads), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default).Unwrap()));
        return null;
    }

    protected abstract Task RunAsyncCore(int loans);
}

internal sealed class OurPool(string name, int operations, int threads) : Loans(name, operations, threads)
{
    private readonly ChannelResourcePool<Thing> _pool = new(
        "benchmark", new Things(), new ResourcePoolOptions { Capacity = Capacity, ResetOnReturn = false }, TimeProvider.System, NullLogger<ChannelResourcePool<Thing>>.Instance);

    public override ValueTask TearDownAsync() => _pool.DisposeAsync();

    protected override async Task RunAsyncCore(int loans)
    {
        for (var i = 0; i < loans; i++)
        {
            await using var loan = await _pool.AcquireAsync();
            loan.Resource.Use();
        }
    }
}

/// <summary>A channel with all resources in it: what is written most often.</summary>
internal sealed class ChannelOfThings(string name, int operations, int threads) : Loans(name, operations, threads)
{
    private readonly Channel<Thing> _idle = Filled();

    public static Channel<Thing> Filled()
    {
        var idle = Channel.CreateBounded<Thing>(Capacity);
        for (var i = 0; i < Capacity; i++) idle.Writer.TryWrite(new Thing());
        return idle;
    }

    protected override async Task RunAsyncCore(int loans)
    {
        for (var i = 0; i < loans; i++)
        {
            var thing = await _idle.Reader.ReadAsync();
            thing.Use();
            _idle.Writer.TryWrite(thing);
        }
    }
}

/// <summary>The platform's own, which has no cap and lets nobody wait.</summary>
internal sealed class PlatformPool(string name, int operations, int threads) : Loans(name, operations, threads)
{
    private readonly DefaultObjectPool<Thing> _pool = new(new DefaultPooledObjectPolicy<Thing>(), Capacity);

    protected override Task RunAsyncCore(int loans)
    {
        for (var i = 0; i < loans; i++)
        {
            var thing = _pool.Get();
            thing.Use();
            _pool.Return(thing);
        }
        return Task.CompletedTask;
    }
}

/// <summary>Nothing but a compare-and-swap to take a slot and a write to free it.</summary>
internal sealed class BareSlots(string name, int operations, int threads) : Loans(name, operations, threads)
{
    private readonly Slot[] _slots = [.. Enumerable.Range(0, Capacity).Select(_ => new Slot())];

    protected override Task RunAsyncCore(int loans)
    {
        var start = Environment.CurrentManagedThreadId;
        for (var i = 0; i < loans; i++)
        {
            for (var at = start; ; at++)
            {
                var slot = _slots[at % Capacity];
                if (Volatile.Read(ref slot.Taken) != 0 || Interlocked.CompareExchange(ref slot.Taken, 1, 0) != 0) continue;
                slot.Thing.Use();
                Volatile.Write(ref slot.Taken, 0);
                break;
            }
        }
        return Task.CompletedTask;
    }

    private sealed class Slot
    {
        public readonly Thing Thing = new();
        public int Taken;
    }
}
