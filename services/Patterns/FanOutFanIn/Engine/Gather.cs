using System.Runtime.ExceptionServices;

namespace DistributedPatterns.FanOutFanIn.Engine;

/// <summary>A gathering that is prepared; it starts when it is enumerated.</summary>
internal sealed class Gather<TIn, TOut>(
    BranchDefinition<TIn, TOut> branch, Intake<TIn> intake, ScatterOptions<TIn> options, ScatterHost host,
    Func<ScatterRun<TIn, TOut>, ICrew> crewOf, Func<int> defaultDegree) : IGather<TOut>
{
    private readonly Lock _lock = new();
    private ScatterRun<TIn, TOut>? _run;
    private ICrew? _crew;

    public int Degree
    {
        get
        {
            lock (_lock) return _crew?.Degree ?? options.Degree ?? defaultDegree();
        }
        set
        {
            ScatterRanges.Degree(value);
            lock (_lock)
            {
                if (_crew is null) options.Degree = value;
                else _crew.Degree = value;
            }
        }
    }

    public GatherReport Report
    {
        get
        {
            lock (_lock) return _run?.Report ?? new GatherReport { Branch = branch.Name, Asked = intake.Asked };
        }
    }

    /// <summary>Gives up what nobody has begun (<see cref="SliceLine{TIn, TOut}.GiveUp"/>).</summary>
    public IReadOnlyList<MissingInputs> GiveUp() => _run?.Line.GiveUp() ?? [];

    public IAsyncEnumerator<BranchResult<TOut>> GetAsyncEnumerator(CancellationToken cancellationToken = default)
    {
        lock (_lock)
        {
            if (_run is not null) throw new InvalidOperationException("A gathering can be enumerated once. Scatter again for another one.");
            _run = new ScatterRun<TIn, TOut>(branch, options.Key is { } key ? new LaneIntake<TIn>(intake, key) : intake, options, host);
            _crew = crewOf(_run);
            return new Enumerator(_run, _crew, cancellationToken);
        }
    }

    private sealed class Enumerator(ScatterRun<TIn, TOut> run, ICrew crew, CancellationToken caller) : IAsyncEnumerator<BranchResult<TOut>>
    {
        private BranchResult<TOut>[] _results = [];
        private int _at = -1;
        private int _end;
        private bool _hasStarted;
        private bool _hasSettled;
        private bool _hasConcluded;
        private CancellationTokenRegistration _cancelled;

        public BranchResult<TOut> Current => _results[_at];

        // All that an item costs the caller; the rest is once a batch.
        public ValueTask<bool> MoveNextAsync() => ++_at < _end ? new(true) : NextAsync();

        public async ValueTask DisposeAsync()
        {
            if (!_hasStarted || _hasConcluded) return;
            run.End(ScatterEnding.Left);
            await ConcludeAsync().ConfigureAwait(false);
        }

        private async ValueTask<bool> NextAsync()
        {
            Start();
            while (!_hasConcluded && run.Ending is not { KeepsAnswers: false })
            {
                if (run.Ending is not null) await SettleAsync().ConfigureAwait(false);
                if (run.Line.Read(out var count, out var news) is { } slice)
                {
                    (_results, _at, _end) = (slice.Results, slice.Gathered, slice.Gathered + count);
                    run.Count(_results.AsSpan(_at, count));
                    return true;
                }
                if (news is null) break;
                await news.ConfigureAwait(false);
            }
            (_at, _end) = (-1, 0);
            if (await ConcludeAsync().ConfigureAwait(false) is { } error) ExceptionDispatchInfo.Throw(error);
            return false;
        }

        private void Start()
        {
            if (_hasStarted) return;
            run.Start(crew);
            _hasStarted = true;
            _cancelled = caller.UnsafeRegister(_ => run.End(ScatterEnding.By(new OperationCanceledException(caller))), null);
        }

        private async ValueTask SettleAsync()
        {
            if (_hasSettled) return;
            _hasSettled = true;
            await run.SettleAsync().ConfigureAwait(false);
        }

        private async ValueTask<Exception?> ConcludeAsync()
        {
            if (_hasConcluded) return null;
            _hasConcluded = true;
            await SettleAsync().ConfigureAwait(false);
            await _cancelled.DisposeAsync().ConfigureAwait(false);
            return run.Conclude();
        }
    }
}
