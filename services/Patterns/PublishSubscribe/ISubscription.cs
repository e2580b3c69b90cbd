namespace DistributedPatterns.PublishSubscribe;

/// <summary>A subscriber's place in a topic. Read it from one place at a time; disposing it ends a wait.</summary>
public interface ISubscription<T> : IAsyncDisposable
{
    /// <summary>Gets where the subscriber is: behind the last item it read. To go on from here later, start <see cref="TopicStart.After"/> it.</summary>
    TopicPosition Position { get; }

    /// <summary>Gets what has become of all that was published since the subscription began, in one reading.</summary>
    SubscriptionLedger Ledger { get; }

    /// <summary>Waits until there is something to read; false when nothing will come any more.</summary>
    /// <exception cref="SubscriberDisconnectedException">It was cut off for reading too slowly, by its own policy.</exception>
    ValueTask<bool> WaitToReadAsync(CancellationToken cancellationToken = default);

    /// <summary>Reads what is there now: messages, and in their places the marks of what was missed.</summary>
    /// <param name="items">Takes them.</param>
    /// <returns>How many were read; 0 when nothing is there.</returns>
    int TryRead(Span<TopicItem<T>> items);

    /// <summary>Reads one item, if there is one.</summary>
    bool TryRead(out TopicItem<T> item)
    {
        var one = default(TopicItem<T>);
        var isRead = TryRead(new Span<TopicItem<T>>(ref one)) == 1;
        item = one;
        return isRead;
    }

    /// <summary>Reads everything until nothing will come any more.</summary>
    /// <exception cref="SubscriberDisconnectedException">It was cut off for reading too slowly, by its own policy.</exception>
    async IAsyncEnumerable<TopicItem<T>> ReadAllAsync([System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        while (await WaitToReadAsync(cancellationToken).ConfigureAwait(false))
            while (TryRead(out TopicItem<T> item)) yield return item;
    }
}
