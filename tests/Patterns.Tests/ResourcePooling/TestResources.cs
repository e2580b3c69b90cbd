using System.Collections.Concurrent;
using DistributedPatterns.ResourcePooling;

namespace DistributedPatterns.Tests.ResourcePooling;

/// <summary>A resource that notices when two have it.</summary>
internal sealed class TestResource(int id)
{
    private int _users;

    public int Id => id;

    public bool IsOpen { get; set; } = true;

    /// <summary>Uses it for as long as the returned value is not disposed.</summary>
    public Use Begin()
    {
        Assert.True(IsOpen, $"{id} is closed");
        Assert.Equal(1, Interlocked.Increment(ref _users));
        return new Use(this);
    }

    internal readonly struct Use(TestResource resource) : IDisposable
    {
        public void Dispose() => Interlocked.Decrement(ref resource._users);
    }
}

/// <summary>Opens resources, for one pool or for several that share a limit, and keeps count.</summary>
internal sealed class TestResources : IResourceFactory<TestResource>
{
    private readonly Lock _gate = new();
    private int _next;

    public int Open { get; private set; }

    public int Opened { get; private set; }

    public int MostOpen { get; private set; }

    /// <summary>Gets what each resource was opened under.</summary>
    public ConcurrentQueue<ResourcePermit> Permits { get; } = new();

    public Func<CancellationToken, Task> WhenOpening { get; set; } = _ => Task.CompletedTask;

    public Func<TestResource, bool> IsUsable { get; set; } = _ => true;

    public Action<TestResource> WhenReset { get; set; } = _ => { };

    public async ValueTask<TestResource> OpenAsync(ResourcePermit permit, CancellationToken cancellationToken)
    {
        await WhenOpening(cancellationToken);
        Permits.Enqueue(permit);
        lock (_gate)
        {
            Opened++;
            MostOpen = Math.Max(MostOpen, ++Open);
            return new TestResource(++_next);
        }
    }

    public ValueTask<bool> CheckAsync(TestResource resource, CancellationToken cancellationToken) => ValueTask.FromResult(IsUsable(resource));

    public ValueTask ResetAsync(TestResource resource, CancellationToken cancellationToken)
    {
        WhenReset(resource);
        return ValueTask.CompletedTask;
    }

    public ValueTask CloseAsync(TestResource resource)
    {
        lock (_gate)
        {
            Assert.True(resource.IsOpen, $"{resource.Id} is closed twice");
            resource.IsOpen = false;
            Open--;
        }
        return ValueTask.CompletedTask;
    }
}
