namespace DistributedPatterns.PublishSubscribe.Engine;

/// <summary>A subscription that reads a ring: it filters, marks what is missing, and keeps the account.</summary>
internal partial class RingSubscription<TSlot, T> : ISubscription<T>, ICountedSubscriber where TSlot : struct, IRingSlot<T>
{
    private readonly SubjectPattern _subjects;
    private readonly Subscribers _host;
    private readonly bool _isPlain; // every item is a message, and wanted
    private TopicItem<T> _carry;
    private bool _hasCarry;
    private bool _isDisposed;
    private SubscriberDisconnectedException? _cutOff;
    private TopicPosition _start;
    private long _before; // what was published before the topic lost what it knew
    private long _received;
    private long _filtered;
    private long _dropped;
    private long _gap;
    private long _resets;

    /// <param name="start">Behind which message it begins.</param>
    /// <param name="first">A mark to read first.</param>
    public RingSubscription(
        TopicRing<TSlot, T> ring, RingReader<TSlot, T> reader, SubscriptionOptions options, int capacity, TopicPosition start, Subscribers host, TopicItem<T>? first = null)
    {
        (Ring, Reader, Overflow, Capacity, _host, Last, _start) = (ring, reader, options.Overflow, capacity, host, start, start);
        _subjects = new SubjectPattern(options.Subjects);
        SubjectText = options.Subjects;
        _isPlain = _subjects.IsEverything && typeof(TSlot) == typeof(ChannelSlot<T>);
        _scratch = Overflow == OverflowPolicy.Latest ? new TopicItem<T>[64] : [];
        if (first is { } mark) (_carry, _hasCarry) = (mark, true);
    }

    public TopicPosition Position
    {
        get
        {
            lock (Gate) return _newest.Count > 0 ? _handedOut : Last;
        }
    }

    public SubscriptionLedger Ledger
    {
        get
        {
            lock (Gate) return ReadLedger();
        }
    }

    SubscriptionStatus ICountedSubscriber.Status => new(SubjectText, Overflow, Capacity, Ledger);

    /// <summary>Gets the lock of everything here. The ring's may be taken inside.</summary>
    protected Lock Gate { get; } = new();

    protected TopicRing<TSlot, T> Ring { get; }

    protected RingReader<TSlot, T> Reader { get; set; }

    protected OverflowPolicy Overflow { get; }

    protected int Capacity { get; }

    /// <summary>Gets the position of the last item that was read or passed over.</summary>
    protected TopicPosition Last { get; private set; }

    /// <summary>Gets whether nothing will come any more.</summary>
    protected bool IsOver => _isDisposed || _cutOff is not null;

    private string SubjectText { get; }

    /// <summary>Returns how a ring treats readers of a policy.</summary>
    public static RingReaderKind KindOf(OverflowPolicy overflow, bool waits) => overflow switch
    {
        OverflowPolicy.DropNewest => RingReaderKind.KeepsOldest,
        OverflowPolicy.Wait when waits => RingReaderKind.WaitedFor,
        _ => RingReaderKind.Overtaken,
    };

    public ValueTask<bool> WaitToReadAsync(CancellationToken cancellationToken = default)
    {
        if (cancellationToken.IsCancellationRequested) return ValueTask.FromCanceled<bool>(cancellationToken);
        lock (Gate)
        {
            if (IsReadable() is { } known) return new(known);
        }
        return new(WaitAsync(cancellationToken));
    }

    public int TryRead(Span<TopicItem<T>> items)
    {
        lock (Gate)
        {
            if (IsOver) return 0;
            var before = _received;
            var count = Overflow == OverflowPolicy.Latest ? ReadLatest(items) : Read(items);
            _host.Telemetry.Consumed((int)(_received - before));
            return count;
        }
    }

    public virtual ValueTask DisposeAsync()
    {
        lock (Gate) _isDisposed = true;
        Ring.Remove(Reader);
        _host.Remove(this);
        return default;
    }

    /// <summary>Reads from the ring, and from wherever else.</summary>
    protected virtual int Read(Span<TopicItem<T>> items)
    {
        var count = 0;
        while (count < items.Length && !IsToBeCutOff())
        {
            var rest = items[count..];
            if (_hasCarry)
            {
                (rest[0], _hasCarry) = (_carry, false);
                count += Account(rest[..1]);
            }
            else if (Reader.TrySkip(out var next, out var isTaken))
            {
                if (MissingBefore(next) is { } mark)
                {
                    rest[0] = mark;
                    count += Account(rest[..1]);
                }
                (_carry, _hasCarry) = (next, isTaken);
            }
            else
            {
                var taken = Reader.Take(rest);
                if (taken == 0 || (taken < 0 && Reader.Kind == RingReaderKind.GoesBack)) break;
                if (taken > 0) count += Account(rest[..taken]);
            }
        }
        return count;
    }

    /// <summary>Says whether there is something to read, or will never be; <see langword="null"/> when that is still open.</summary>
    protected virtual bool? IsReadable()
    {
        if (_isDisposed) return false;
        IsToBeCutOff();
        if (_cutOff is not null) throw _cutOff;
        if (_hasCarry || _newest.Count > 0 || Reader.HasNews) return true;
        return Ring.IsClosed ? Reader.HasNews : null; // what was written before it was closed is seen only now
    }

    /// <summary>Waits for what may make it readable; called without the lock.</summary>
    protected virtual Task WaitForNewsAsync(CancellationToken cancellationToken) => Ring.ParkAsync(Reader).WaitAsync(cancellationToken);

    /// <summary>Counts items, and drops those about other subjects from the span.</summary>
    /// <returns>How many are left.</returns>
    protected int Account(Span<TopicItem<T>> items)
    {
        if (_isPlain && (items.Length > 1 || items[0].IsMessage)) // a mark comes alone
        {
            (_received, Last) = (_received + items.Length, items[^1].Position);
            return items.Length;
        }
        var kept = 0;
        foreach (var item in items)
        {
            switch (item.Kind)
            {
                case TopicItemKind.Message when !_subjects.IsEverything && !_subjects.Matches(item.Subject):
                    (_filtered, Last) = (_filtered + 1, item.Position);
                    continue;
                case TopicItemKind.Message:
                    _received++;
                    break;
                case TopicItemKind.Dropped:
                    _dropped += item.Missed;
                    break;
                case TopicItemKind.Gap:
                    _gap += item.Missed;
                    break;
                default:
                    _before += Last.Sequence - _start.Sequence;
                    _start = item.Position;
                    _resets++;
                    break;
            }
            Last = item.Position;
            if (!item.IsMessage) _host.Telemetry.Missed(item.Kind, item.Missed, Overflow);
            items[kept++] = item;
        }
        return kept;
    }

    private async Task<bool> WaitAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            await WaitForNewsAsync(cancellationToken).ConfigureAwait(false);
            lock (Gate)
            {
                if (IsReadable() is { } known) return known;
            }
        }
    }

    private bool IsToBeCutOff()
    {
        if (_cutOff is not null) return true;
        if (!Reader.IsCutOff && (Overflow != OverflowPolicy.Disconnect || !Reader.IsOvertaken)) return false;
        var missed = Waiting();
        _dropped += missed;
        _before += missed;
        _cutOff = new SubscriberDisconnectedException(_host.Topic, Overflow, Capacity, missed);
        Ring.Remove(Reader);
        _host.CountDisconnected();
        return true;
    }

    /// <summary>Returns the mark of what is missing between the last item and this one.</summary>
    private TopicItem<T>? MissingBefore(TopicItem<T> next)
    {
        var before = Before(next);
        if (!IsSameGeneration(before)) return next.Kind == TopicItemKind.Reset ? null : TopicItem<T>.Mark(TopicItemKind.Reset, before);
        return before.Sequence > Last.Sequence ? TopicItem<T>.Mark(TopicItemKind.Dropped, before, before.Sequence - Last.Sequence) : null;
    }

    private long Waiting()
    {
        var head = Ring.Last();
        return IsSameGeneration(head) ? Math.Max(0, head.Sequence - Last.Sequence) : 0;
    }

    private static TopicPosition Before(TopicItem<T> item) => item.IsMessage
        ? item.Position with { Sequence = item.Sequence - 1, Place = Math.Max(0, item.Position.Place - 1) }
        : item.Position with { Sequence = item.Sequence - item.Missed };

    // Before the first message there is no generation.
    private bool IsSameGeneration(TopicPosition other) => other.Generation == Last.Generation || Last.Generation == 0;

    private SubscriptionLedger ReadLedger()
    {
        var waiting = _cutOff is null ? Waiting() : 0;
        return new(_before + Last.Sequence - _start.Sequence + waiting, _received, _filtered, _dropped, _gap, waiting) { Resets = _resets };
    }
}
