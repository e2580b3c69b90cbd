using System.Runtime.CompilerServices;
using System.Threading.Channels;
using DistributedPatterns.WorkerPool.Engine;
using Microsoft.Extensions.ObjectPool;

namespace DistributedPatterns.WorkerPool;

/// <summary>Does a job on one of a number of workers.</summary>
/// <param name="job">The job.</param>
/// <param name="worker">Which worker it is on, from 1.</param>
/// <param name="cancellationToken">The token that the job was submitted with.</param>
public delegate ValueTask<TResult> WorkerHandler<in TJob, TResult>(TJob job, int worker, CancellationToken cancellationToken);

/// <summary>The bare pool: N workers and a bounded queue for jobs of one type. Submitting a job and awaiting its result allocates nothing.</summary>
/// <remarks>
/// First in, first out. A full queue makes <see cref="RunAsync"/> wait. Cancelling takes a job out while it is queued and is the handler's
/// business afterwards. No names, retries or records: <see cref="ChannelWorkerPool"/> has those, on top of this.
/// <para>Workers are no threads but turns on the thread pool, taken while there is work. The caller goes on as a turn of its own, never on a
/// worker: a slow caller cannot hold a worker up. Handlers do not see the caller's execution context.</para>
/// </remarks>
public sealed class ChannelWorkers<TJob, TResult> : IAsyncDisposable
{
    private const int MaxSpare = 4_096;

    private readonly Channel<Submission<TJob, TResult>> _queue;
    private readonly ObjectPool<Submission<TJob, TResult>> _submissions;
    private readonly Stack<Worker<TJob, TResult>> _idle = new();
    private readonly Lock _lock = new();
    private readonly TaskCompletionSource _left = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _size;
    private int _busy; // written under _lock only
    private int _workers;
    private bool _isClosed;

    /// <param name="size">How many jobs run at the same time, from 1 to <see cref="IWorkerPool.MaxSize"/>.</param>
    /// <param name="capacity">How many jobs may wait, from 1.</param>
    /// <param name="handler">Does the work.</param>
    public ChannelWorkers(int size, int capacity, WorkerHandler<TJob, TResult> handler)
    {
        ArgumentNullException.ThrowIfNull(handler);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(capacity);
        Resize(size);
        Handler = handler;
        _queue = Channel.CreateBounded<Submission<TJob, TResult>>(capacity);
        _submissions = new DefaultObjectPool<Submission<TJob, TResult>>(
            new DefaultPooledObjectPolicy<Submission<TJob, TResult>>(), maximumRetained: Math.Min(capacity, MaxSpare));
    }

    /// <summary>Gets how many jobs may run at the same time.</summary>
    public int Size => Volatile.Read(ref _size);

    /// <summary>Gets how many workers have a turn. Above <see cref="Size"/> for a moment after the pool was made smaller.</summary>
    public int Busy => Volatile.Read(ref _busy);

    /// <summary>Gets how many jobs wait, those included that were cancelled and not yet passed over.</summary>
    public int Queued => _queue.Reader.Count;

    internal WorkerHandler<TJob, TResult> Handler { get; }

    /// <summary>Runs a job on a worker and returns its result. Await what it returns once.</summary>
    /// <exception cref="OperationCanceledException">The token was cancelled before the job came to a worker.</exception>
    /// <exception cref="ObjectDisposedException">The pool takes no jobs any more.</exception>
    public ValueTask<TResult> RunAsync(TJob job, CancellationToken cancellationToken = default)
    {
        if (cancellationToken.IsCancellationRequested) return ValueTask.FromCanceled<TResult>(cancellationToken);
        var submission = Submission<TJob, TResult>.Begin(job, _submissions, cancellationToken);
        if (!_queue.Writer.TryWrite(submission)) return RunWhenRoomAsync(submission, cancellationToken);
        Wake();
        return submission.Task;
    }

    /// <summary>Changes the number of workers. A surplus worker leaves after its current job.</summary>
    public void Resize(int size)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(size);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(size, IWorkerPool.MaxSize);
        var added = size - Interlocked.Exchange(ref _size, size);
        for (; added > 0 && _queue is not null && _queue.Reader.Count > 0; added--) Wake();
    }

    /// <summary>Takes no more jobs and returns when the last one is done.</summary>
    public async ValueTask DisposeAsync()
    {
        _queue.Writer.TryComplete();
        lock (_lock)
        {
            _isClosed = true;
            if (_busy == 0 && _queue.Reader.Count == 0) _left.TrySetResult();
        }
        await _left.Task.ConfigureAwait(false);
    }

    internal bool TryTake(Worker<TJob, TResult> worker, out Submission<TJob, TResult> submission)
    {
        submission = null!;
        return _busy <= Size && _queue.Reader.TryRead(out submission!) || Leave(worker);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<TResult> RunWhenRoomAsync(Submission<TJob, TResult> submission, CancellationToken cancellationToken)
    {
        try
        {
            await _queue.Writer.WriteAsync(submission, cancellationToken).ConfigureAwait(false);
        }
        catch (ChannelClosedException)
        {
            submission.Abandon();
            throw new ObjectDisposedException(nameof(ChannelWorkers<,>));
        }
        catch (OperationCanceledException)
        {
            submission.Abandon();
            throw;
        }
        Wake();
        return await submission.Task.ConfigureAwait(false);
    }

    /// <summary>Gives a worker a turn if one is free. The job must be in the queue by then.</summary>
    private void Wake()
    {
        // Either this sees that a worker has left, or that worker, which looks at the queue after leaving, sees the job.
        Interlocked.MemoryBarrier();
        if (Busy >= Size) return;
        Worker<TJob, TResult>? worker;
        lock (_lock)
        {
            if (_busy >= Size) return;
            _busy++;
            if (!_idle.TryPop(out worker)) worker = new Worker<TJob, TResult>(this, ++_workers);
        }
        ThreadPool.UnsafeQueueUserWorkItem(worker, preferLocal: false);
    }

    /// <returns>Always false: there is nothing for this worker.</returns>
    private bool Leave(Worker<TJob, TResult> worker)
    {
        lock (_lock)
        {
            _busy--;
            _idle.Push(worker);
            if (_isClosed && _busy == 0 && _queue.Reader.Count == 0) _left.TrySetResult();
        }
        if (_queue.Reader.Count > 0) Wake();
        return false;
    }
}
