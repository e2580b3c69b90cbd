using System.Globalization;
using DistributedPatterns.MapReduce.Engine;

namespace DistributedPatterns.MapReduce.Coordination;

/// <summary>One attempt at one task: writes files of its own, which nobody reads before the attempt is committed.</summary>
internal sealed class TaskAttempt(
    TaskOrder order, long token, MapReduceCatalog catalog, MapReduceInputs inputs, RedisJobStore store, RedisMapReduceOptions options)
{
    private readonly string _attempt = token.ToString(CultureInfo.InvariantCulture);
    private readonly JobFolder _folder = new(inputs.Work, order.Job);
    private readonly SplitPlan _plan = SplitPlan.Of(order.Request, order.InputLength);

    /// <summary>Maps a split and returns what was counted.</summary>
    /// <exception cref="MapReduceJobException">No attempt will do better.</exception>
    public async Task<MapCounters> MapAsync(CancellationToken cancellationToken)
    {
        var job = catalog.Check(order.Request);
        var input = inputs.Find(order.Request.Input);
        if (input.Length != order.InputLength || input.Version != order.InputVersion)
            throw new MapReduceJobException($"The input '{order.Request.Input}' has changed since the job began.");
        var output = _folder.Map(order.Task, _attempt);
        var mapper = new Mapper(job, order.Request, _plan.Reducers, options, run => $"{output}-{run}");
        using (var file = File.OpenHandle(input.Path)) await mapper.MapAsync(file, _plan[order.Task], cancellationToken).ConfigureAwait(false);
        mapper.Flush();
        if (mapper.Runs is [var only])
        {
            File.Move(only, output);
            return mapper.Counters;
        }
        var size = Reducer.MergeRuns(mapper.Runs, _plan.Reducers, job.Fold, output, options.MergeWidth, cancellationToken);
        foreach (var run in mapper.Runs) File.Delete(run);
        return mapper.Counters with { Pairs = size.Pairs, Bytes = size.Bytes };
    }

    /// <summary>Reduces a partition. False when an output of a mapper was missing: its task is open again, and this one has to wait for it.</summary>
    public async Task<bool> ReduceAsync(CancellationToken cancellationToken)
    {
        var fold = catalog.Check(order.Request).Fold;
        var commits = await store.CommitsAsync(order.Job, TaskPhase.Map, cancellationToken).ConfigureAwait(false);
        if (commits.Count < _plan.Splits) return false;
        string[] outputs = [.. Enumerable.Range(0, _plan.Splits).Select(task => _folder.Map(task, commits[task].Attempt))];
        try
        {
            Reducer.ReducePartition(outputs, order.Task, fold, _folder.Reduce(order.Task, _attempt), options.MergeWidth, cancellationToken);
            return true;
        }
        catch (LostOutputException lost)
        {
            await store.RevokeAsync(order.Job, TaskPhase.Map, lost.Task, commits[lost.Task].Attempt, cancellationToken).ConfigureAwait(false);
            return false;
        }
    }

    /// <summary>Deletes what it wrote, because it does not count.</summary>
    public void Discard(TaskPhase phase)
    {
        var output = phase == TaskPhase.Map ? _folder.Map(order.Task, _attempt) : _folder.Reduce(order.Task, _attempt);
        try
        {
            // With its runs and what a merge left.
            if (Directory.Exists(_folder.Path))
                foreach (var file in Directory.EnumerateFiles(_folder.Path, Path.GetFileName(output) + "*")) File.Delete(file);
        }
        catch (IOException)
        {
            // The job's end deletes the folder.
        }
    }
}
