using DistributedPatterns.Diagnostics;
using DistributedPatterns.MapReduce.Engine;
using Microsoft.Win32.SafeHandles;

namespace DistributedPatterns.MapReduce;

/// <summary>One job inside the process, from its start to when it is forgotten.</summary>
internal sealed class ChannelMapReduceJob(
    string id, MapReduceRequest request, IMapReduceJob definition, MapReduceInputs inputs, MapReduceOptions options, TimeProvider time)
{
    private const string Attempt = "1";

    private readonly CancellationTokenSource _cancel = new();
    private readonly TaskCompletionSource<MapReduceStatus> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly JobFolder _folder = new(inputs.Work, id);
    private readonly MapReduceStatus _begin = new(id, request.Job, request.Input, MapReduceState.Waiting);
    private MapReduceStatus? _end; // what it came to
    private volatile MapReduceStatus? _published;
    private volatile MapReduceState _state = MapReduceState.Waiting;
    private volatile int _splits;
    private int _nextSplit;
    private int _mapped;
    private int _reduced;

    public MapReduceRequest Request => request;

    /// <summary>Gets the end, once it is published.</summary>
    public Task<MapReduceStatus> Ended => _ended.Task;

    /// <summary>Gets when it ended, by the clock's timestamps.</summary>
    public long EndedAt { get; private set; }

    public MapReduceStatus Status => _published ?? _begin with
    {
        State = _state,
        Maps = new TaskProgress(Volatile.Read(ref _mapped), _splits),
        Reduces = new TaskProgress(Volatile.Read(ref _reduced), Reducers),
    };

    private int Reducers => SplitPlan.Of(request, 0).Reducers;

    /// <param name="running">A place among those that run.</param>
    /// <param name="onEnd">Called once; it has to <see cref="Publish"/> the end.</param>
    public void Start(SemaphoreSlim running, Action<ChannelMapReduceJob, Exception?> onEnd) => _ = RunAsync(running, onEnd);

    /// <summary>Asks it to stop. False when it has ended already.</summary>
    public async Task<bool> CancelAsync()
    {
        if (_published is not null) return false;
        await _cancel.CancelAsync().ConfigureAwait(false);
        return true;
    }

    public MapReduceResult? TryOpenResult() => MapReduceResult.TryOpen(_folder.Result(Attempt), definition.Fold);

    /// <summary>Makes the end known.</summary>
    public MapReduceStatus Publish()
    {
        EndedAt = time.GetTimestamp();
        _published = _end!;
        _ended.SetResult(_end!);
        return _end!;
    }

    public void Forget() => _folder.Delete();

    private async Task RunAsync(SemaphoreSlim running, Action<ChannelMapReduceJob, Exception?> onEnd)
    {
        using var activity = MapReduceTelemetry.Start("map-reduce job", Variants.Channel, request.Job);
        Exception? failure = null;
        try
        {
            await running.WaitAsync(_cancel.Token).ConfigureAwait(false);
            try
            {
                var report = await Task.Run(RunInOrderAsync).ConfigureAwait(false);
                _end = Status with { State = MapReduceState.Completed, Report = report };
            }
            finally
            {
                running.Release();
            }
        }
        catch (OperationCanceledException) when (_cancel.IsCancellationRequested)
        {
            _end = Status with { State = MapReduceState.Cancelled };
        }
        catch (Exception error)
        {
            failure = error;
            activity?.SetStatus(System.Diagnostics.ActivityStatusCode.Error, error.Message);
            _end = Status with { State = MapReduceState.Failed, Error = error.Message };
        }
        _folder.Delete(except: _end.State == MapReduceState.Completed ? _folder.Result(Attempt) : null);
        onEnd(this, failure);
    }

    private async Task<MapReduceReport> RunInOrderAsync()
    {
        var started = time.GetTimestamp();
        var input = inputs.Find(request.Input);
        var plan = SplitPlan.Of(request, input.Length);
        (_splits, _state) = (plan.Splits, MapReduceState.Mapping);
        _folder.Create();
        var degree = new ParallelOptions { MaxDegreeOfParallelism = request.Mappers ?? Environment.ProcessorCount, CancellationToken = _cancel.Token };
        var mappers = new Mapper[Math.Min(degree.MaxDegreeOfParallelism, plan.Splits)];
        using (var file = File.OpenHandle(input.Path))
        {
            await Parallel.ForAsync(0, mappers.Length, degree, async (number, cancellationToken) =>
            {
                mappers[number] = new Mapper(definition, request, plan.Reducers, options, run => _folder.Map(number, $"{Attempt}-{run}"));
                await MapAsync(mappers[number], file, plan, cancellationToken).ConfigureAwait(false);
            }).ConfigureAwait(false);
        }
        var mapTime = time.GetElapsedTime(started);
        _state = MapReduceState.Reducing;
        string[] runs = [.. mappers.SelectMany(mapper => mapper.Runs)];
        await Parallel.ForAsync(0, plan.Reducers, degree, (partition, cancellationToken) =>
        {
            Reducer.ReducePartition(runs, partition, definition.Fold, _folder.Reduce(partition, Attempt), options.MergeWidth, cancellationToken);
            Interlocked.Increment(ref _reduced);
            MapReduceTelemetry.CountTask(Variants.Channel, MapReduceTelemetry.Reduce, MapReduceTelemetry.Committed);
            return ValueTask.CompletedTask;
        }).ConfigureAwait(false);
        var result = Reducer.WriteResult(
            [.. Enumerable.Range(0, plan.Reducers).Select(partition => _folder.Reduce(partition, Attempt))],
            definition.Fold, _folder.Result(Attempt), options.MergeWidth, _cancel.Token);
        var counters = mappers.Aggregate(default(MapCounters), (sum, mapper) => sum + mapper.Counters);
        return counters.ToReport(plan.Length, result) with { Attempts = 1, ElapsedMs = time.GetElapsedTime(started).TotalMilliseconds, MapMs = mapTime.TotalMilliseconds };
    }

    private async Task MapAsync(Mapper mapper, SafeFileHandle file, SplitPlan plan, CancellationToken cancellationToken)
    {
        // In the order of the file, so that offsets reach a mapper's sets ascending.
        while (Interlocked.Increment(ref _nextSplit) - 1 is var split && split < plan.Splits)
        {
            await mapper.MapAsync(file, plan[split], cancellationToken).ConfigureAwait(false);
            Interlocked.Increment(ref _mapped);
            MapReduceTelemetry.CountTask(Variants.Channel, MapReduceTelemetry.Map, MapReduceTelemetry.Committed);
        }
        mapper.Flush();
    }
}
