using System.Threading.Tasks.Sources;
using Microsoft.Extensions.ObjectPool;

namespace DistributedPatterns.WorkerPool.Engine;

/// <summary>A job on its way to a worker and its result on the way back: one reusable object that is queue entry, awaitable and work item.</summary>
internal sealed class Submission<TJob, TResult> : IValueTaskSource<TResult>, IThreadPoolWorkItem
{
    private const int Queued = 1;
    private const int Started = 2;
    private const int Cancelled = 3;

    private ManualResetValueTaskSourceCore<TResult> _awaitable;
    private ObjectPool<Submission<TJob, TResult>>? _home;
    private CancellationTokenRegistration _registration;
    private TResult _result = default!;
    private Exception? _error;
    private int _state;

    // A caller that goes on with a result and submits the next job does both on one thread: then nothing is shared.
    [ThreadStatic]
    private static Submission<TJob, TResult>? s_spare;

    public TJob Job { get; private set; } = default!;

    public CancellationToken CancellationToken { get; private set; }

    public ValueTask<TResult> Task => new(this, _awaitable.Version);

    /// <param name="home">Where it goes when it is through.</param>
    public static Submission<TJob, TResult> Begin(TJob job, ObjectPool<Submission<TJob, TResult>> home, CancellationToken cancellationToken)
    {
        var submission = s_spare ?? home.Get();
        s_spare = null;
        submission._home = home;
        submission.Begin(job, cancellationToken);
        return submission;
    }

    private void Begin(TJob job, CancellationToken cancellationToken)
    {
        (Job, CancellationToken, _state) = (job, cancellationToken, Queued);
        if (cancellationToken.CanBeCanceled) _registration = cancellationToken.UnsafeRegister(static self => ((Submission<TJob, TResult>)self!).Cancel(), this);
    }

    /// <summary>Takes the job, unless it was cancelled: then it has its outcome and is not used again.</summary>
    public bool TryStart()
    {
        if (!CancellationToken.CanBeCanceled)
        {
            _state = Started;
            return true;
        }
        if (Interlocked.CompareExchange(ref _state, Started, Queued) != Queued) return false;
        // Waits for a call-back under way: it must not meet the next job that uses this object.
        _registration.Dispose();
        return true;
    }

    public void End(TResult result)
    {
        _result = result;
        Complete();
    }

    public void End(Exception error)
    {
        _error = error;
        Complete();
    }

    /// <summary>Gives up a job that never came into the queue. Nobody awaits it, and it is not used again.</summary>
    public void Abandon() => _registration.Dispose();

    // The caller's continuation runs in here, as a work item of its own: no allocation, and not on the worker.
    void IThreadPoolWorkItem.Execute()
    {
        if (_error is { } error) _awaitable.SetException(error);
        else _awaitable.SetResult(_result);
    }

    public TResult GetResult(short token)
    {
        try
        {
            return _awaitable.GetResult(token);
        }
        finally
        {
            // A cancelled one still lies in the queue, so it cannot be used for another job.
            if (Volatile.Read(ref _state) == Started) Recycle();
        }
    }

    public ValueTaskSourceStatus GetStatus(short token) => _awaitable.GetStatus(token);

    public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _awaitable.OnCompleted(continuation, state, token, flags);

    private void Cancel()
    {
        if (Interlocked.CompareExchange(ref _state, Cancelled, Queued) == Queued) End(new OperationCanceledException(CancellationToken));
    }

    private void Complete() => ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: true);

    private void Recycle()
    {
        _awaitable.Reset();
        (Job, CancellationToken, _registration, _result, _error, _state) = (default!, default, default, default!, null, 0);
        if (s_spare is null) s_spare = this;
        else _home!.Return(this);
    }
}
