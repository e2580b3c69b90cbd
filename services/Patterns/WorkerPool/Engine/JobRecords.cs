using System.Text.Json;

namespace DistributedPatterns.WorkerPool.Engine;

/// <summary>What the pool in this process knows of its jobs: every change of a job's state and the count that goes with it are one step.</summary>
/// <param name="leave">Gives an ended job's room back, before anybody hears of the end.</param>
internal sealed class JobRecords(int keepEnded, TimeSpan keepEndedFor, Action leave, TimeProvider time)
{
    private readonly Dictionary<string, ChannelJob> _jobs = new(StringComparer.Ordinal);
    private readonly Queue<ChannelJob> _ended = new();
    private readonly LinkedList<ChannelJob> _open = new();
    private readonly Lock _lock = new();
    private long _submitted, _done, _failed, _cancelled, _dead, _queued, _running, _retried;
    private TaskCompletionSource? _idle;
    private bool _isClosed;

    /// <summary>Takes no jobs on until <see cref="Reopen"/>: once this has returned, the open jobs can only become fewer.</summary>
    public void Close()
    {
        lock (_lock) _isClosed = true;
    }

    public void Reopen()
    {
        lock (_lock) _isClosed = false;
    }

    public ChannelJob? Find(string id)
    {
        lock (_lock)
        {
            Forget();
            return _jobs.GetValueOrDefault(id);
        }
    }

    public JobStatus? Read(string id)
    {
        lock (_lock)
        {
            Forget();
            return _jobs.GetValueOrDefault(id)?.ToStatus();
        }
    }

    /// <returns>The job that has the id: this one, unless another one was there before.</returns>
    /// <exception cref="WorkerPoolDrainingException">Nothing is taken on.</exception>
    public ChannelJob Add(ChannelJob job)
    {
        lock (_lock)
        {
            if (_jobs.TryGetValue(job.Id, out var before)) return before;
            if (_isClosed) throw new WorkerPoolDrainingException();
            _jobs.Add(job.Id, job);
            job.Place = _open.AddLast(job);
            job.Since = time.GetTimestamp();
            (_submitted, _queued) = (_submitted + 1, _queued + 1);
            return job;
        }
    }

    /// <summary>Begins an attempt; false when the job has ended already.</summary>
    public bool TryStart(ChannelJob job, string worker)
    {
        lock (_lock)
        {
            if (job.State != JobState.Queued) return false;
            (job.State, job.Worker, job.Since) = (JobState.Running, worker, time.GetTimestamp());
            job.Attempts++;
            (_queued, _running) = (_queued - 1, _running + 1);
            return true;
        }
    }

    /// <summary>Ends an attempt that another one will follow; false when the job was cancelled meanwhile and must end.</summary>
    public bool TryRetry(ChannelJob job, JobError error)
    {
        lock (_lock)
        {
            if (job.IsTakenBack) return false;
            (job.State, job.Error, job.Since) = (JobState.Queued, error, time.GetTimestamp());
            (_queued, _running, _retried) = (_queued + 1, _running - 1, _retried + 1);
            return true;
        }
    }

    public void End(ChannelJob job, JobState state, JobError? error = null, JsonElement? result = null)
    {
        lock (_lock) EndLocked(job, state, error, result);
    }

    /// <summary>Ends a job that does not run, and marks one that does.</summary>
    /// <returns>The state that the job was in.</returns>
    public JobState TakeBack(ChannelJob job, JobError? reason)
    {
        lock (_lock)
        {
            var before = job.State;
            if (before == JobState.Queued) EndLocked(job, JobState.Cancelled, reason, null);
            if (before == JobState.Running) (job.IsTakenBack, job.TakenBack) = (true, job.IsTakenBack ? job.TakenBack : reason);
            return before;
        }
    }

    public IReadOnlyList<ChannelJob> Open()
    {
        lock (_lock) return [.. _open];
    }

    /// <summary>Returns a task that ends when no job is open.</summary>
    public Task IdleAsync()
    {
        lock (_lock)
        {
            if (_open.Count == 0) return Task.CompletedTask;
            _idle ??= new(TaskCreationOptions.RunContinuationsAsynchronously);
            return _idle.Task;
        }
    }

    public IReadOnlyList<RunningJob> Running()
    {
        lock (_lock) return RunningLocked();
    }

    public WorkerPoolSnapshot Snapshot()
    {
        lock (_lock)
        {
            var oldest = _open.FirstOrDefault(job => job.State == JobState.Queued);
            return new WorkerPoolSnapshot
            {
                Ledger = new(_submitted, _done, _failed, _cancelled, _dead, _queued, _running),
                Counters = new(Redelivered: _retried),
                OldestQueued = oldest is null ? TimeSpan.Zero : time.GetElapsedTime(oldest.Since),
                Running = RunningLocked(),
            };
        }
    }

    private RunningJob[] RunningLocked() =>
    [
        .. from job in _open
           where job.State == JobState.Running
           select new RunningJob(job.Id, job.Definition.Name, job.Attempts, job.Worker!, time.GetElapsedTime(job.Since)),
    ];

    private void EndLocked(ChannelJob job, JobState state, JobError? error, JsonElement? result)
    {
        if (job.State == JobState.Queued) _queued--;
        else _running--;
        switch (state)
        {
            case JobState.Done: _done++; break;
            case JobState.Failed: _failed++; break;
            case JobState.Cancelled: _cancelled++; break;
            default: _dead++; break;
        }
        (job.State, job.Error, job.Result, job.Since) = (state, error, result, time.GetTimestamp());
        _open.Remove(job.Place!);
        _ended.Enqueue(job);
        Forget();
        leave();
        job.Ended.TrySetResult(job.ToStatus());
        if (_open.Count > 0) return;
        _idle?.TrySetResult();
        _idle = null;
    }

    private void Forget()
    {
        while (_ended.TryPeek(out var oldest) && (_ended.Count > keepEnded || time.GetElapsedTime(oldest.Since) > keepEndedFor))
        {
            _ended.Dequeue();
            _jobs.Remove(oldest.Id);
        }
    }
}
