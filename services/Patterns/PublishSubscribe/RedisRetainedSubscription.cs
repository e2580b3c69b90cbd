using DistributedPatterns.PublishSubscribe.Engine;

namespace DistributedPatterns.PublishSubscribe;

/// <summary>A subscriber of a retained topic: it reads the log by itself until it has caught up with the process's ring, and from then on the ring.</summary>
internal sealed class RedisRetainedSubscription<T> : RingSubscription<RedisSlot<T>, T>
{
    private readonly int _reach;
    private readonly RedisTopicLog _log;
    private readonly Func<TopicPosition, RedisLogCursor<T>> _follow;
    private readonly TimeSpan _pollEvery;
    private readonly TimeProvider _clock;
    private readonly Func<Task> _leave;
    private readonly Queue<TopicItem<T>> _fetched = new();
    private readonly CancellationTokenSource _stop;
    private readonly CancellationToken _stopping;
    private RedisLogCursor<T> _cursor;
    private bool _isLive;
    private int _hasLeft;

    public RedisRetainedSubscription(
        RedisRetainedFeed<T> feed, RedisTopicLog log, Func<TopicPosition, RedisLogCursor<T>> follow, SubscriptionOptions options, RedisRetainedTopicOptions topic,
        TopicPosition start, TimeProvider clock, Subscribers host, Func<Task> leave)
        : base(feed.Ring, Dormant(feed.Ring), options, options.CapacityIn(topic.Buffer), start, host)
    {
        (_reach, _log, _follow, _pollEvery, _clock, _leave) = (options.ReachIn(topic.Buffer), log, follow, topic.PollEvery, clock, leave);
        _cursor = follow(start);
        _stop = CancellationTokenSource.CreateLinkedTokenSource(feed.Stopping);
        _stopping = _stop.Token;
    }

    public override async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _hasLeft, 1) == 1) return;
        await base.DisposeAsync().ConfigureAwait(false);
        await _stop.CancelAsync().ConfigureAwait(false);
        _stop.Dispose();
        await _leave().ConfigureAwait(false);
    }

    /// <summary>Joins the ring at once where that has come as far as this subscription begins, or does so soon: then its policy holds from the first message.</summary>
    public async Task BeginAsync(CancellationToken cancellationToken)
    {
        var since = _clock.GetTimestamp();
        while (true)
        {
            var seen = Ring.Head;
            lock (Gate)
            {
                if (TryGoLive() || _clock.GetElapsedTime(since) >= _pollEvery) return;
            }
            await ((Task)Ring.ParkAsync(Reader, seen).WaitAsync(_pollEvery, _clock, cancellationToken)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    protected override int Read(Span<TopicItem<T>> items)
    {
        GoBackIfOvertaken();
        var count = 0;
        while (!_isLive && count < items.Length)
        {
            if (_fetched.TryDequeue(out var item))
            {
                items[count] = item;
                count += Account(items.Slice(count, 1));
            }
            else if (!TryGoLive())
            {
                return count;
            }
        }
        return count == items.Length ? count : count + base.Read(items[count..]);
    }

    protected override bool? IsReadable()
    {
        GoBackIfOvertaken();
        if (IsOver || _isLive || (_fetched.Count == 0 && TryGoLive())) return base.IsReadable();
        if (_fetched.Count > 0) return true;
        return Ring.IsClosed ? false : null;
    }

    protected override async Task WaitForNewsAsync(CancellationToken cancellationToken)
    {
        if (_isLive)
        {
            await base.WaitForNewsAsync(cancellationToken).ConfigureAwait(false);
            return;
        }
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _stopping);
        try
        {
            var seen = Ring.Head;
            var items = new List<TopicItem<T>>();
            _cursor.Follow(await _log.ReadAsync(_cursor.At, either.Token).ConfigureAwait(false), items);
            lock (Gate)
            {
                foreach (var item in items) _fetched.Enqueue(item);
            }
            // It is ahead of the ring: that will come after it.
            if (items.Count == 0) await Ring.ParkAsync(Reader, seen).WaitAsync(_pollEvery, _clock, either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            cancellationToken.ThrowIfCancellationRequested(); // with the caller's token
        }
        catch (TimeoutException)
        {
            // Look again.
        }
    }

    private static RingReader<RedisSlot<T>, T> Dormant(TopicRing<RedisSlot<T>, T> ring) => ring.Join(RingReaderKind.Overtaken, 1, default, static (head, _) => head)!;

    private bool TryGoLive()
    {
        var kind = Overflow == OverflowPolicy.Wait ? RingReaderKind.GoesBack : KindOf(Overflow, waits: false);
        if (Ring.Join(kind, _reach, default, (_, oldest) => Ring.Find(Last) is { } next && next >= oldest ? next : -1) is not { } reader) return false;
        Ring.Remove(Reader);
        (Reader, _isLive) = (reader, true);
        return true;
    }

    private void GoBackIfOvertaken()
    {
        if (!_isLive || Overflow != OverflowPolicy.Wait || !Reader.IsOvertaken) return;
        Ring.Remove(Reader);
        (Reader, _cursor, _isLive) = (Dormant(Ring), _follow(Last), false);
    }
}
