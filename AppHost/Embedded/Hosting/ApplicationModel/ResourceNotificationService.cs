using System.Collections.Immutable;
using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Aspire.Hosting.ApplicationModel;

/// <summary>Holds the state of every replica and tells each change, in order, to everyone who watches.</summary>
public class ResourceNotificationService
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, ResourceEvent> _current = new(StringComparer.OrdinalIgnoreCase);
    private readonly List<Channel<ResourceEvent>> _watchers = [];
    private Exception? _failure;

    internal ResourceNotificationService()
    {
    }

    /// <summary>Changes a replica's snapshot. A resource that was never seen starts from an empty one.</summary>
    public Task PublishUpdateAsync(IResource resource, string resourceId, Func<CustomResourceSnapshot, CustomResourceSnapshot> stateFactory)
    {
        ArgumentNullException.ThrowIfNull(resource);
        ArgumentNullException.ThrowIfNull(stateFactory);
        lock (_lock)
        {
            var before = _current.GetValueOrDefault(resourceId)?.Snapshot
                ?? new() { ResourceType = ((Resource)resource).ResourceType, Properties = [] };
            var changed = new ResourceEvent(resource, resourceId, stateFactory(before));
            _current[resourceId] = changed;
            foreach (var watcher in _watchers)
            {
                watcher.Writer.TryWrite(changed);
            }
        }

        return Task.CompletedTask;
    }

    /// <summary>Gets every replica's present state, then every change, until cancelled or until the application fails.</summary>
    public async IAsyncEnumerable<ResourceEvent> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        // Unbounded, as a change must not be lost and there are few of them; a watcher that stalls holds only its own.
        var channel = Channel.CreateUnbounded<ResourceEvent>();
        lock (_lock)
        {
            foreach (var present in _current.Values)
            {
                channel.Writer.TryWrite(present);
            }

            if (_failure is not null)
            {
                channel.Writer.TryComplete();
            }

            _watchers.Add(channel);
        }

        try
        {
            await foreach (var change in channel.Reader.ReadAllAsync(cancellationToken))
            {
                yield return change;
            }
        }
        finally
        {
            lock (_lock)
            {
                _watchers.Remove(channel);
            }
        }
    }

    public Task<ResourceEvent> WaitForResourceAsync(
        string resourceName, Func<ResourceEvent, bool> predicate, CancellationToken cancellationToken = default) =>
        WaitAsync(e => IsOf(e, resourceName) && predicate(e), cancellationToken);

    /// <summary>Waits until one replica is in a state.</summary>
    public Task WaitForResourceAsync(string resourceName, string? targetState = null, CancellationToken cancellationToken = default) =>
        WaitForResourceAsync(resourceName, e => e.Snapshot.State?.Text == (targetState ?? KnownResourceStates.Running), cancellationToken);

    /// <summary>Waits until every replica of a resource is healthy.</summary>
    public Task<ResourceEvent> WaitForResourceHealthyAsync(string resourceName, CancellationToken cancellationToken = default) =>
        WaitAsync(e => IsOf(e, resourceName) && AllHealthy(resourceName), cancellationToken);

    public bool TryGetCurrentState(string resourceId, [NotNullWhen(true)] out ResourceEvent? resourceEvent)
    {
        var found = Current.Where(e => IsOf(e, resourceId)).ToList();

        // A name with several replicas is no one's id.
        resourceEvent = found.Count == 1 ? found[0] : null;
        return resourceEvent is not null;
    }

    internal ImmutableArray<ResourceEvent> Current
    {
        get
        {
            lock (_lock)
            {
                return [.. _current.Values];
            }
        }
    }

    internal bool AllHealthy(string resourceName) =>
        Current.Where(e => IsOf(e, resourceName)).All(e => e.Snapshot.HealthStatus == HealthStatus.Healthy);

    /// <summary>Ends every watch, and every wait with this failure, for the application cannot go on.</summary>
    internal void Fail(Exception failure)
    {
        lock (_lock)
        {
            _failure ??= failure;
            foreach (var watcher in _watchers)
            {
                watcher.Writer.TryComplete();
            }
        }
    }

    private static bool IsOf(ResourceEvent e, string nameOrId) =>
        string.Equals(e.Resource.Name, nameOrId, StringComparison.OrdinalIgnoreCase)
        || string.Equals(e.ResourceId, nameOrId, StringComparison.OrdinalIgnoreCase);

    private async Task<ResourceEvent> WaitAsync(Func<ResourceEvent, bool> predicate, CancellationToken cancellationToken)
    {
        await foreach (var change in WatchAsync(cancellationToken))
        {
            if (predicate(change))
            {
                return change;
            }
        }

        throw _failure ?? new UnreachableException("A watch ends by cancellation or by a failure.");
    }
}
