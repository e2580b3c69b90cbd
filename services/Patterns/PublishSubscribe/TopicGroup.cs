using System.ComponentModel.DataAnnotations;
using System.Globalization;
using DistributedPatterns.ProducerConsumer;

namespace DistributedPatterns.PublishSubscribe;

/// <summary>Consumers that share a topic's messages: each goes to one of them, and comes again when that one dies or fails.</summary>
/// <remarks>
/// A group is a work queue that a relay fills from the topic: what holds from there on is what <see cref="IWorkQueue{T}"/> promises. Run the relay in every process
/// that consumes; across processes one of them has the lease and relays, and another one goes on where it was when it dies. An item's id is the message's
/// position, so one that is relayed twice is in the queue once, as long as the queue remembers ids (<see cref="WorkQueueOptions.DoneKeepFor"/>).
/// <para>A group begins when it is first run, and goes on from there also when nobody was there for a while, as far back as the topic is kept. The relay waits for room
/// in the queue, and subscribes with <see cref="OverflowPolicy.Wait"/>: a retained topic keeps its messages for it, publishers in one process wait as long as
/// <see cref="TopicGroupOptions.WaitLimit"/>. Order is the queue's.</para>
/// </remarks>
public sealed class TopicGroup<T>
{
    private const int BatchSize = 100;

    private readonly ITopic<T> _topic;
    private readonly IRelayedTopic _relayed;
    private readonly TopicGroupOptions _options;
    private readonly TimeProvider _clock;
    private readonly string _owner = Guid.NewGuid().ToString("N");
    private long _relayedCount;
    private long _missed;

    /// <param name="topic">A retained topic, or one in this process.</param>
    /// <param name="name">The group's name: letters, digits, <c>-</c> and <c>_</c>.</param>
    /// <param name="queue">The queue of this group alone. The caller's, as the topic is.</param>
    /// <exception cref="UnsupportedSubscriptionException">The topic is ephemeral.</exception>
    public TopicGroup(ITopic<T> topic, string name, IWorkQueue<T> queue, TopicGroupOptions options, TimeProvider clock)
    {
        ArgumentNullException.ThrowIfNull(topic);
        SubjectPattern.CheckSubject(name);
        _relayed = topic as IRelayedTopic ?? throw new UnsupportedSubscriptionException(topic.Name, "group that could go on where it was");
        (_topic, Name, Queue, _options, _clock) = (topic, name, queue, options, clock);
    }

    public string Name { get; }

    /// <summary>Gets where the consumers take the messages from.</summary>
    public IWorkQueue<T> Queue { get; }

    /// <summary>Gets how many messages this process relayed.</summary>
    public long Relayed => Volatile.Read(ref _relayedCount);

    /// <summary>Gets how many messages were gone before this process could relay them.</summary>
    public long Missed => Volatile.Read(ref _missed);

    /// <summary>Relays until it is cancelled, the topic is closed, or the queue is sealed.</summary>
    /// <exception cref="SubscriberDisconnectedException">The queue had no room for so long that publishers did not wait any more.</exception>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var (isMine, position) = await RelayAsync(null, cancellationToken).ConfigureAwait(false);
            if (isMine && !await RelayFromAsync(position, cancellationToken).ConfigureAwait(false)) return;
            if (!isMine) await Task.Delay(_options.Lease / 3 * (0.5 + (Random.Shared.NextDouble() / 2)), _clock, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Relays while the lease is this process's.</summary>
    /// <returns>False when there is nothing to relay any more.</returns>
    private async Task<bool> RelayFromAsync(TopicPosition position, CancellationToken cancellationToken)
    {
        var subscription = await _topic.SubscribeAsync(
            new SubscriptionOptions { Subjects = _options.Subjects, Start = TopicStart.After(position), Overflow = OverflowPolicy.Wait, WaitLimit = _options.WaitLimit },
            cancellationToken).ConfigureAwait(false);
        await using (subscription.ConfigureAwait(false))
        {
            var items = new TopicItem<T>[BatchSize];
            while (true)
            {
                if (await ReadAsync(subscription, items, cancellationToken).ConfigureAwait(false) is not { } count) return false;
                if (count > 0 && !await EnqueueAsync(items.AsMemory(0, count), cancellationToken).ConfigureAwait(false)) return false;
                // What is in the queue is done with; what was lost on the way to here is relayed again, and recognised.
                if (!(await RelayAsync(subscription.Position, cancellationToken).ConfigureAwait(false)).IsMine) return true;
            }
        }
    }

    /// <summary>Waits for messages, but not longer than the lease lasts.</summary>
    private async Task<int?> ReadAsync(ISubscription<T> subscription, TopicItem<T>[] items, CancellationToken cancellationToken)
    {
        using var renew = new CancellationTokenSource(_options.Lease / 3, _clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(renew.Token, cancellationToken);
        try
        {
            return await subscription.WaitToReadAsync(either.Token).ConfigureAwait(false) ? subscription.TryRead(items) : null;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return 0;
        }
    }

    private async Task<bool> EnqueueAsync(ReadOnlyMemory<TopicItem<T>> items, CancellationToken cancellationToken)
    {
        var work = new List<WorkItem<T>>(items.Length);
        foreach (var item in items.Span)
        {
            if (item.IsMessage) work.Add(new WorkItem<T>(item.Message) { Id = string.Create(CultureInfo.InvariantCulture, $"{Name}-{item.Position}") });
            else Interlocked.Add(ref _missed, item.Missed);
        }
        while (work.Count > 0)
        {
            var results = await Queue.EnqueueAsync(work, cancellationToken).ConfigureAwait(false);
            if (results.Any(static result => result.Outcome == EnqueueOutcome.Sealed)) return false;
            Interlocked.Add(ref _relayedCount, results.Count(static result => result.Outcome == EnqueueOutcome.Accepted));
            work = [.. work.Where((_, i) => results[i].Outcome == EnqueueOutcome.Full)];
            if (work.Count > 0) await Task.Delay(_options.Lease / 30, _clock, cancellationToken).ConfigureAwait(false);
        }
        return true;
    }

    private Task<(bool IsMine, TopicPosition Position)> RelayAsync(TopicPosition? position, CancellationToken cancellationToken) =>
        _relayed.RelayAsync(Name, _owner, _options.Lease, position, cancellationToken);
}

/// <summary>What a group relays, and for how long one process may.</summary>
public sealed class TopicGroupOptions
{
    /// <inheritdoc cref="SubscriptionOptions.Subjects"/>
    public string Subjects { get; set; } = SubjectPattern.Everything;

    /// <summary>Gets or sets how long a process relays without renewing its lease; after that another one does.</summary>
    /// <value>From 500 milliseconds to 10 minutes; 5 seconds unless set. Time is the server's.</value>
    [Range(typeof(TimeSpan), "00:00:00.5", "00:10:00")]
    public TimeSpan Lease { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Gets or sets how long publishers in the same process wait while the queue takes nothing; then the group is cut off.</summary>
    /// <value>From zero to 1 hour; 1 minute unless set.</value>
    [Range(typeof(TimeSpan), "00:00:00", "01:00:00")]
    public TimeSpan WaitLimit { get; set; } = TimeSpan.FromMinutes(1);
}

/// <summary>A topic that keeps how far its groups are.</summary>
internal interface IRelayedTopic
{
    /// <summary>Takes, renews or asks for the right to relay, and keeps how far the group is.</summary>
    Task<(bool IsMine, TopicPosition Position)> RelayAsync(string group, string owner, TimeSpan lease, TopicPosition? position, CancellationToken cancellationToken);
}
