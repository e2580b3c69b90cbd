using System.Globalization;

namespace DistributedPatterns.FanOutFanIn.Engine;

/// <summary>Runs the branch in loops of this process, each one item at a time.</summary>
/// <remarks>
/// A loop that has found work starts the next one, so that a short list does not pay for many. Each gives its thread back
/// after a slice: loops, the caller that gathers and everything else share the pool's threads, and nobody starves.
/// </remarks>
internal sealed class LoopCrew<TIn, TOut> : ICrew
{
    private static readonly TimeSpan s_announceEvery = TimeSpan.FromMilliseconds(2);
    private static readonly string[] s_names = [.. Enumerable.Range(1, 1_024).Select(number => string.Create(CultureInfo.InvariantCulture, $"loop {number}"))];

    private readonly ScatterRun<TIn, TOut> _run;
    private readonly TimeSpan _sliceTarget;
    private readonly Lock _lock = new();
    private readonly List<bool> _places = []; // a loop's name is its place's, so that a degree of 4 has four names
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _degree;
    private int _running;
    private ITimer? _announcer;

    public LoopCrew(ScatterRun<TIn, TOut> run, int degree, TimeSpan sliceTarget)
    {
        (_run, _sliceTarget) = (run, sliceTarget);
        Degree = degree;
    }

    public int Degree
    {
        get => Volatile.Read(ref _degree);
        set
        {
            lock (_lock)
            {
                _degree = value;
                _run.Line.ShareAmong(value);
                if (_running > 0) StartNext();
            }
        }
    }

    public int Running => Volatile.Read(ref _running);

    public async Task RunAsync()
    {
        StartNext();
        await _ended.Task.ConfigureAwait(false);
        if (_announcer is not null) await _announcer.DisposeAsync().ConfigureAwait(false);
    }

    private void StartNext()
    {
        lock (_lock)
        {
            if (_running >= _degree || _ended.Task.IsCompleted) return;
            _running++;
            var place = _places.IndexOf(false);
            if (place < 0)
            {
                place = _places.Count;
                _places.Add(false);
            }
            _places[place] = true;
            _ = Task.Run(() => LoopAsync(place)); // catches everything, and RunAsync waits for the last one
        }
    }

    private async Task LoopAsync(int place)
    {
        var hasLeft = false;
        try
        {
            var loop = new BranchLoop<TIn, TOut>(_run, s_names[place], new SlicePace(_sliceTarget, most: 2_048));
            while (!(hasLeft = LeaveIfTooMany(place)) && await _run.Line.TakeAsync(loop.Pace.Next).ConfigureAwait(false) is { } slice)
            {
                if (Volatile.Read(ref _running) < Volatile.Read(ref _degree)) StartNext();
                if (slice.Count > 1) AnnounceRegularly();
                await loop.RunAsync(slice).ConfigureAwait(false);
                _run.Line.Finish(slice);
                await Task.Yield();
            }
        }
        catch (Exception error)
        {
            _run.End(ScatterEnding.By(error)); // a bug of ours; the branch's errors do not get here
        }
        finally
        {
            if (!hasLeft) Leave(place);
        }
    }

    // Looking and leaving in one step: of several loops that end at the same time, all would see that they are too many, and leave nobody.
    private bool LeaveIfTooMany(int place)
    {
        if (Volatile.Read(ref _running) <= Volatile.Read(ref _degree)) return false;
        lock (_lock)
        {
            if (_running <= _degree) return false;
            Leave(place);
            return true;
        }
    }

    private void Leave(int place)
    {
        lock (_lock)
        {
            _places[place] = false;
            if (--_running == 0) _ended.TrySetResult();
        }
    }

    // Answers within a slice are announced with its end. Should an item in it keep its thread for long, those before it
    // must not wait: somebody else tells the caller to look.
    private void AnnounceRegularly()
    {
        if (_announcer is not null) return;
        lock (_lock) _announcer ??= _run.Time.CreateTimer(_ => _run.Line.Announce(), null, s_announceEvery, s_announceEvery);
    }
}
