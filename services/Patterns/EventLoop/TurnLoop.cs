using System.Runtime.CompilerServices;

namespace DistributedPatterns.EventLoop;

/// <summary>A bare event loop: takes events from its sources and handles one after the other, never two at the same time.</summary>
/// <remarks>
/// It holds no thread: while there is something to do it runs on the thread pool, and lets others have the thread after some thousand turns. Handlers
/// need no locks, must not block, and may post to the loop themselves.
/// <para>Sources have turns in proportion to their weights, so that a busy one does not starve another; timers that are due come before them.</para>
/// <para>How long events wait is measured on one event of each batch that is taken over, so that a post costs no clock reading of its own.</para>
/// </remarks>
/// <param name="handle">Handles an event. What it throws goes to <paramref name="failed"/>, and the loop goes on.</param>
/// <param name="failed">Told of each error, on the loop.</param>
/// <param name="timings">Told how long events wait and turns take, on the loop; <see langword="null"/> to measure neither.</param>
public sealed class TurnLoop<T>(Action<T> handle, Action<T, Exception> failed, TimeProvider time, ITurnTimings<T>? timings = null) : TurnLoopCore(time)
{
    private TurnSource<T>[] _sources = [];

    internal ITurnTimings<T>? Timings => timings;

    /// <summary>Adds a source. Call it before the first post.</summary>
    /// <param name="capacity">How many of its events may wait, from 1.</param>
    /// <param name="weight">How many of its events have a turn before the next source has its own, from 1.</param>
    public TurnSource<T> AddSource(int capacity, int weight = 1)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(capacity, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(weight, 1);
        var source = new TurnSource<T>(this, capacity, weight);
        _sources = [.. _sources, source];
        return source;
    }

    /// <summary>Lets an event have a turn after a while, before those that wait in sources.</summary>
    /// <returns>Takes the timer back when disposed.</returns>
    public IDisposable After(TimeSpan delay, T e) => SetTimer(delay, new Due(this, e));

    private protected override bool RunSources(out int turns)
    {
        turns = 0;
        // With nobody to be fair to, a change of source is only looked for now and then.
        var scale = _sources.Length == 1 ? 64 : 1;
        foreach (var source in _sources) turns += source.Run(source.Weight * scale);
        return turns > 0;
    }

    private protected override bool HasWork()
    {
        foreach (var source in _sources)
            if (source.HasWork) return true;
        return false;
    }

    private protected override void Close()
    {
        foreach (var source in _sources) source.Close();
    }

    private protected override int Abandon() => _sources.Sum(source => source.Abandon());

    /// <summary>Handles events up to an index; an error is the event's own.</summary>
    /// <returns>The index after the last.</returns>
    internal int Handle(T[] events, int from, int to, ref int waiting)
    {
        var since = timings is null ? 0 : Time.GetTimestamp();
        for (var i = from; i < to;)
        {
            try
            {
                for (; i < to; i++)
                {
                    handle(events[i]);
                    if (timings is not null) since = Measure(events[i], since);
                    Forget(events, i, ref waiting);
                }
            }
            catch (Exception error) // whatever a handler throws: the loop goes on, and the event's owner is told
            {
                var e = events[i];
                if (timings is not null) since = Measure(e, since);
                Forget(events, i++, ref waiting);
                failed(e, error);
            }
        }
        return to;
    }

    private static void Forget(T[] events, int i, ref int waiting)
    {
        if (RuntimeHelpers.IsReferenceOrContainsReferences<T>()) events[i] = default!;
        Volatile.Write(ref waiting, waiting - 1); // the loop alone writes it
    }

    // The end of a turn is the start of the next: one reading of the clock for both.
    private long Measure(T e, long since)
    {
        var now = Time.GetTimestamp();
        timings!.Took(e, Time.GetElapsedTime(since, now));
        return now;
    }

    private sealed class Due(TurnLoop<T> loop, T e) : ITimed
    {
        public void Run()
        {
            var waiting = 1;
            loop.Handle([e], 0, 1, ref waiting);
        }
    }
}

/// <summary>Is told how long events wait and turns take.</summary>
public interface ITurnTimings<in T>
{
    /// <summary>An event waited so long for its turn. One event of each batch is measured.</summary>
    void Waited(TimeSpan lag);

    /// <summary>A turn took so long.</summary>
    void Took(T e, TimeSpan turn);
}
