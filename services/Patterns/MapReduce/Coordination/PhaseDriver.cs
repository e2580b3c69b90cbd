using DistributedPatterns.ProducerConsumer;
using DistributedPatterns.Redis;
using Microsoft.Extensions.Logging;

namespace DistributedPatterns.MapReduce.Coordination;

/// <summary>Drives one phase of a job: keeps some tasks on the queue, makes anew what got lost, and starts second attempts beside stragglers.</summary>
internal sealed partial class PhaseDriver(
    string job, TaskPhase phase, int total, int window, Func<int, TaskOrder> orderOf,
    RedisJobStore store, IWorkQueue<TaskOrder> queue, RedisDoorbell doorbell, RedisMapReduceOptions options, TimeProvider time, ILogger logger)
{
    private static readonly TimeSpan s_pollAtMost = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan s_lookEvery = TimeSpan.FromMilliseconds(500);

    private readonly SortedDictionary<int, TaskWatch> _open = [];

    /// <summary>Gets how many second attempts were started.</summary>
    public int Backups { get; private set; }

    /// <summary>Gets how many tasks were made anew.</summary>
    public int Renewals { get; private set; }

    /// <summary>Returns the attempts that count, by task, once there is one of each; <see langword="null"/> when the job has ended, or when outputs of the phase before were lost.</summary>
    /// <exception cref="MapReduceJobException">A task used up its attempts.</exception>
    public async Task<IReadOnlyList<TaskCommit>?> RunAsync(CancellationToken cancellationToken)
    {
        using var bell = doorbell.Listen(job);
        var commits = new Dictionary<int, TaskCommit>();
        var next = 0; // all before it are committed or open
        var looked = time.GetTimestamp();
        while (true)
        {
            if (await store.FindAsync(job, cancellationToken).ConfigureAwait(false) is not { End: null } known) return null;
            if (phase == TaskPhase.Reduce && known.Maps.Done < known.Maps.Total) return null;
            var done = phase == TaskPhase.Map ? known.Maps.Done : known.Reduces.Done;
            if (done != commits.Count) commits = await RefreshAsync(cancellationToken).ConfigureAwait(false);
            if (commits.Count == total) return [.. Enumerable.Range(0, total).Select(task => commits[task])];
            if (next == total && _open.Count == 0) next = 0; // Redis has lost commits that were there: a failover, or a kill
            for (; next < total && _open.Count < window; next++)
            {
                if (commits.ContainsKey(next)) continue;
                _open[next] = new TaskWatch(queue, $"{job}-{(phase == TaskPhase.Map ? 'm' : 'r')}{next}", orderOf(next));
                await _open[next].EnqueueAsync(cancellationToken).ConfigureAwait(false);
            }
            if (time.GetElapsedTime(looked) >= s_lookEvery)
            {
                commits = await LookAsync(cancellationToken).ConfigureAwait(false);
                looked = time.GetTimestamp();
            }
            await bell.WaitAsync(s_pollAtMost, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Takes what is left off the queue.</summary>
    public Task CancelAsync() => Task.WhenAll(_open.Values.Select(task => task.CancelAsync()));

    private async Task<Dictionary<int, TaskCommit>> RefreshAsync(CancellationToken cancellationToken)
    {
        var commits = await store.CommitsAsync(job, phase, cancellationToken).ConfigureAwait(false);
        foreach (var task in _open.Keys.Where(commits.ContainsKey).ToArray())
        {
            // The attempt that lost need not go on.
            if (_open[task].HasBackup) await _open[task].CancelAsync().ConfigureAwait(false);
            _open.Remove(task);
        }
        return commits;
    }

    private async Task<Dictionary<int, TaskCommit>> LookAsync(CancellationToken cancellationToken)
    {
        var tasks = _open.ToArray();
        var sights = await Task.WhenAll(tasks.Select(task => task.Value.LookAsync(time, cancellationToken))).ConfigureAwait(false);
        // Read after the items: of one that was through by then, and nothing counts now, nothing will.
        var commits = await RefreshAsync(cancellationToken).ConfigureAwait(false);
        var slow = SlowFrom(commits.Values);
        foreach (var ((number, task), sight) in tasks.Zip(sights))
        {
            if (commits.ContainsKey(number)) continue;
            if (!sight.IsOpen)
            {
                LogRenewed(job, phase, number);
                Renewals++;
                await task.RenewAsync(cancellationToken).ConfigureAwait(false);
            }
            else if (sight.Held > slow && !task.HasBackup)
            {
                LogBackup(job, phase, number, sight.Held);
                Backups++;
                MapReduceTelemetry.CountBackup(phase == TaskPhase.Map ? MapReduceTelemetry.Map : MapReduceTelemetry.Reduce);
                await task.BackUpAsync(cancellationToken).ConfigureAwait(false);
            }
        }
        return commits;
    }

    // Backup tasks as in the paper on MapReduce, 3.6; when, as Spark's speculation decides.
    private TimeSpan SlowFrom(Dictionary<int, TaskCommit>.ValueCollection commits)
    {
        if (commits.Count * 4 < total * 3 || commits.Count == 0) return TimeSpan.MaxValue;
        var median = commits.Select(commit => commit.Took).Order().ElementAt(commits.Count / 2);
        var slow = median * options.BackupFactor;
        return slow > options.BackupAfter ? slow : options.BackupAfter;
    }

    [LoggerMessage(LogLevel.Warning, "{Phase} task {Task} of job {Job} is put on the queue anew: its item is through, and nothing of it counts")]
    private partial void LogRenewed(string job, TaskPhase phase, int task);

    [LoggerMessage(LogLevel.Information, "{Phase} task {Task} of job {Job} has taken {Held}: a second attempt starts beside it")]
    private partial void LogBackup(string job, TaskPhase phase, int task, TimeSpan held);
}
