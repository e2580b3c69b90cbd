namespace DistributedPatterns.FanOutFanIn.Engine;

/// <summary>Counts the answers as they are gathered.</summary>
internal sealed class GatherTally<TOut>(string branch)
{
    private readonly Lock _lock = new();
    private readonly RunTimes _times = new();
    private readonly Dictionary<string, Share> _workers = new(StringComparer.Ordinal);
    private long _done;
    private long _failed;
    private long _retried;

    public void Add(ReadOnlySpan<BranchResult<TOut>> results)
    {
        lock (_lock)
        {
            var share = new Share();
            string? worker = null;
            foreach (ref readonly var result in results)
            {
                if (!ReferenceEquals(result.Worker, worker)) share = ShareOf(worker = result.Worker);
                share.Count++;
                share.Run += result.Run;
                _times.Add(result.Run);
                if (result.Error is null) _done++;
                else _failed++;
                if (result.Attempt > 1) _retried++;
            }
        }
    }

    /// <summary>Counts the failure that stopped everything, which nobody gathers.</summary>
    public void AddFailure()
    {
        lock (_lock) _failed++;
    }

    public GatherReport Read(long asked, TimeSpan elapsed)
    {
        lock (_lock)
        {
            return new GatherReport
            {
                Branch = branch,
                Asked = asked,
                Done = _done,
                Failed = _failed,
                Retried = _retried,
                Workers = [.. _workers.Select(pair => new WorkerShare(pair.Key, pair.Value.Count, pair.Value.Run)).OrderByDescending(share => share.Answered).ThenBy(share => share.Worker, StringComparer.Ordinal)],
                Median = _times.Quantile(0.5),
                Slowest = _times.Slowest,
                Elapsed = elapsed,
            };
        }
    }

    private Share ShareOf(string worker) => _workers.TryGetValue(worker, out var share) ? share : _workers[worker] = new Share();

    private sealed class Share
    {
        public long Count;
        public TimeSpan Run;
    }
}
