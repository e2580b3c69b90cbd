using DistributedPatterns.MapReduce.Engine;
using DistributedPatterns.ProducerConsumer;
using DistributedPatterns.Redis;
using Microsoft.Extensions.Logging;

namespace DistributedPatterns.MapReduce.Coordination;

/// <summary>Coordinates one job under one epoch, from where an earlier coordinator left it, to an end that is written once.</summary>
internal sealed class JobDriver(
    string job, long epoch, int attempt, MapReduceCatalog catalog, MapReduceInputs inputs, RedisJobStore store,
    IWorkQueue<TaskOrder> maps, IWorkQueue<TaskOrder> reduces, RedisDoorbell doorbell, RedisMapReduceOptions options, TimeProvider time, ILogger logger)
{
    private const int DefaultWindow = 32;
    private const int MaxRepairs = 20; // of lost outputs: a folder that is not shared would lose them for ever

    private readonly JobFolder _folder = new(inputs.Work, job);
    private readonly string _attempt = epoch.ToString(System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>Drives the job to its end and returns that; <see langword="null"/> when the job is unknown, or another coordinator has it.</summary>
    public async Task<JobEnd?> RunAsync(CancellationToken cancellationToken)
    {
        if (await store.FindAsync(job, cancellationToken).ConfigureAwait(false) is not { } known) return null;
        var end = known.End;
        if (end is null)
        {
            var outcome = await TryDriveAsync(known.Request, cancellationToken).ConfigureAwait(false);
            // Somebody else may have ended it meanwhile: then that end counts.
            end = outcome is null
                ? (await store.FindAsync(job, cancellationToken).ConfigureAwait(false))?.End
                : await store.EndAsync(job, epoch, outcome, cancellationToken).ConfigureAwait(false);
        }
        if (end is not null) _folder.Delete(except: end is { State: MapReduceState.Completed, Result: { } result } ? _folder.Result(result) : null);
        return end;
    }

    private async Task<JobEnd?> TryDriveAsync(MapReduceRequest request, CancellationToken cancellationToken)
    {
        try
        {
            return await DriveAsync(request, cancellationToken).ConfigureAwait(false);
        }
        catch (MapReduceException failed)
        {
            return new JobEnd(MapReduceState.Failed, failed.Message, null, null);
        }
    }

    private async Task<JobEnd?> DriveAsync(MapReduceRequest request, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        var fold = catalog.Check(request).Fold;
        var input = inputs.Find(request.Input);
        var plan = SplitPlan.Of(request, input.Length);
        _folder.Create();
        if (!await store.InitAsync(job, TaskPhase.Map, epoch, plan.Splits, cancellationToken).ConfigureAwait(false)) return null;
        if (!await store.InitAsync(job, TaskPhase.Reduce, epoch, plan.Reducers, cancellationToken).ConfigureAwait(false)) return null;
        var mapping = NewPhase(TaskPhase.Map, plan.Splits, request.Mappers ?? DefaultWindow, maps);
        var reducing = NewPhase(TaskPhase.Reduce, plan.Reducers, plan.Reducers, reduces);
        var mapTime = TimeSpan.Zero;
        try
        {
            for (var repairs = 0; repairs <= MaxRepairs; repairs++)
            {
                if (await mapping.RunAsync(cancellationToken).ConfigureAwait(false) is not { } mapped) return null;
                if (repairs == 0) mapTime = time.GetElapsedTime(started);
                if (await reducing.RunAsync(cancellationToken).ConfigureAwait(false) is not { } reduced)
                {
                    if (await store.FindAsync(job, cancellationToken).ConfigureAwait(false) is { End: null }) continue;
                    return null;
                }
                if (await TryWriteResultAsync(reduced, fold, cancellationToken).ConfigureAwait(false) is not { } result) continue;
                var counters = mapped.Aggregate(default(MapCounters), (sum, commit) => sum + commit.Counters);
                return new JobEnd(MapReduceState.Completed, null, counters.ToReport(plan.Length, result) with
                {
                    Backups = mapping.Backups + reducing.Backups,
                    Repeated = mapping.Renewals + reducing.Renewals + mapped.Concat(reduced).Sum(commit => commit.Try - 1),
                    Attempts = attempt,
                    ElapsedMs = time.GetElapsedTime(started).TotalMilliseconds,
                    MapMs = mapTime.TotalMilliseconds,
                }, _attempt);
            }
            throw new MapReduceJobException($"Outputs of tasks were lost {MaxRepairs} times. Is the data folder the same for all processes?");
        }
        finally
        {
            await LeaveAsync(mapping, reducing, cancellationToken).ConfigureAwait(false);
        }

        TaskOrder OrderOf(int task) => new(job, request, task, input.Length, input.Version);

        PhaseDriver NewPhase(TaskPhase phase, int total, int window, IWorkQueue<TaskOrder> queue) =>
            new(job, phase, total, window, OrderOf, store, queue, doorbell, options, time, logger);
    }

    private async Task<ResultSize?> TryWriteResultAsync(IReadOnlyList<TaskCommit> reduced, ValueFold fold, CancellationToken cancellationToken)
    {
        try
        {
            string[] partitions = [.. reduced.Select((commit, partition) => _folder.Reduce(partition, commit.Attempt))];
            return await Task.Run(() => Reducer.WriteResult(partitions, fold, _folder.Result(_attempt), options.MergeWidth, cancellationToken), cancellationToken).ConfigureAwait(false);
        }
        catch (LostOutputException lost)
        {
            await store.RevokeAsync(job, TaskPhase.Reduce, lost.Task, reduced[lost.Task].Attempt, cancellationToken).ConfigureAwait(false);
            return null;
        }
    }

    private static async Task LeaveAsync(PhaseDriver mapping, PhaseDriver reducing, CancellationToken cancellationToken)
    {
        // Whoever takes the job over goes on with the same items.
        if (cancellationToken.IsCancellationRequested) return;
        try
        {
            await mapping.CancelAsync().ConfigureAwait(false);
            await reducing.CancelAsync().ConfigureAwait(false);
        }
        catch (Exception error) when (RedisRetry.IsOutage(error))
        {
            // Then they run, and nobody takes what they commit.
        }
    }
}
