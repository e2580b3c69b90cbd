using DistributedPatterns.MapReduce.Coordination;
using DistributedPatterns.MapReduce.Engine;
using DistributedPatterns.ProducerConsumer;
using DistributedPatterns.Redis;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace DistributedPatterns.MapReduce;

/// <summary>Map-reduce across processes: jobs, splits and partitions are items of leased queues, files lie in the shared data folder, and Redis says which attempt counts.</summary>
/// <remarks>
/// Beyond the contract: a worker, a reducer or a coordinator that dies or freezes loses its task to another one after its lease, a straggler gets
/// a second attempt beside it, and an output that is lost is made again. What is committed stays committed: a map task's output lies in the
/// data folder, so it survives its worker. All processes have to see the same data folder (<c>Data:Path</c>).
/// <para>This class asks for jobs; producers, workers and reducers do them. The multiplexer is the caller's.</para>
/// </remarks>
public sealed class RedisMapReduce : IMapReduce, IAsyncDisposable
{
    private static readonly TimeSpan s_pollAtMost = TimeSpan.FromMilliseconds(250);

    private readonly MapReduceQueues _queues;
    private readonly MapReduceCatalog _catalog;
    private readonly MapReduceInputs _inputs;
    private readonly RedisMapReduceOptions _options;
    private readonly RedisJobStore _store;
    private readonly RedisDoorbell _doorbell;

    internal RedisMapReduce(
        MapReduceQueues queues, MapReduceCatalog catalog, MapReduceInputs inputs, IConnectionMultiplexer redis, IOptions<RedisMapReduceOptions> options, TimeProvider time)
    {
        (_queues, _catalog, _inputs, _options) = (queues, catalog, inputs, options.Value);
        _store = new RedisJobStore(redis, _options, time);
        _doorbell = new RedisDoorbell(redis, _store.BellChannel, time);
    }

    public async Task<MapReduceStatus> StartAsync(MapReduceRequest request, CancellationToken cancellationToken = default)
    {
        _catalog.Check(request);
        _inputs.Find(request.Input);
        var id = request.Id ?? Guid.CreateVersion7().ToString("N");
        await _store.OpenAsync(id, request with { Id = null }).WaitAsync(cancellationToken).ConfigureAwait(false); // first: who takes the item finds it
        if (await _store.FindAsync(id, cancellationToken).ConfigureAwait(false) is { End: null })
        {
            var item = await _queues.Jobs.EnqueueAsync(new WorkItem<JobOrder>(new JobOrder(id)) { Id = id }, cancellationToken).ConfigureAwait(false);
            if (item.Outcome == EnqueueOutcome.Full) throw new MapReduceFullException(_options.MaxJobs);
        }
        return await FindAsync(id, cancellationToken).ConfigureAwait(false) ?? new MapReduceStatus(id, request.Job, request.Input, MapReduceState.Waiting);
    }

    public async Task<MapReduceStatus?> FindAsync(string id, CancellationToken cancellationToken = default)
    {
        var item = await _queues.Jobs.FindAsync(id, cancellationToken).ConfigureAwait(false); // first: it ends after the record
        if (await _store.FindAsync(id, cancellationToken).ConfigureAwait(false) is not { } record) return null;
        var status = new MapReduceStatus(id, record.Request.Job, record.Request.Input, StateOf(item, record)) { Maps = record.Maps, Reduces = record.Reduces };
        return status.State switch
        {
            _ when record.End is { } end => status with { Error = end.Error, Report = end.Report },
            MapReduceState.Failed => status with { Error = $"{item!.Attempts} coordinators were lost with it, or gave up; the last one by: {item.Note}." },
            _ => status,
        };
    }

    public async Task<MapReduceStatus?> WaitAsync(string id, CancellationToken cancellationToken = default)
    {
        using var bell = _doorbell.Listen(id);
        while (true)
        {
            var status = await FindAsync(id, cancellationToken).ConfigureAwait(false);
            if (status is null || status.HasEnded) return status;
            await bell.WaitAsync(s_pollAtMost, cancellationToken).ConfigureAwait(false);
        }
    }

    public async Task<bool> CancelAsync(string id, CancellationToken cancellationToken = default)
    {
        var before = await FindAsync(id, cancellationToken).ConfigureAwait(false);
        if (before is null || before.HasEnded) return false;
        var end = await _store.EndAsync(id, null, new JobEnd(MapReduceState.Cancelled, null, null, null), cancellationToken).ConfigureAwait(false);
        if (end?.State != MapReduceState.Cancelled) return false;
        await _queues.Jobs.CancelAsync(id, cancellationToken).ConfigureAwait(false); // at once where nobody has it; else its coordinator learns of it by the record
        return true;
    }

    public async Task<MapReduceResult?> OpenResultAsync(string id, CancellationToken cancellationToken = default)
    {
        var record = await _store.FindAsync(id, cancellationToken).ConfigureAwait(false);
        return record?.End is { State: MapReduceState.Completed, Result: { } attempt }
            ? MapReduceResult.TryOpen(new JobFolder(_inputs.Work, id).Result(attempt), _catalog.Get(record.Request.Job).Fold)
            : null;
    }

    public async Task<MapReduceStats> GetStatsAsync(CancellationToken cancellationToken = default)
    {
        var jobs = await _queues.Jobs.LedgerAsync(cancellationToken).ConfigureAwait(false);
        return new MapReduceStats(jobs.In, jobs.Ready + jobs.Delayed, jobs.Leased, jobs.Done - jobs.Failed, jobs.Failed + jobs.Dead + jobs.Dropped, jobs.Cancelled);
    }

    public ValueTask DisposeAsync() => _doorbell.DisposeAsync();

    private static MapReduceState StateOf(WorkItemStatus? item, JobRecord record) =>
        record.End is { } end ? end.State
        : item?.State is WorkItemState.Dead or WorkItemState.Dropped ? MapReduceState.Failed
        : item?.State != WorkItemState.Leased ? MapReduceState.Waiting
        : record.Maps.Total > 0 && record.Maps.Done == record.Maps.Total ? MapReduceState.Reducing
        : MapReduceState.Mapping;
}
