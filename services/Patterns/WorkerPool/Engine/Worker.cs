namespace DistributedPatterns.WorkerPool.Engine;

/// <summary>One who takes jobs from the queue, one after the other, while it has a turn on the thread pool.</summary>
internal sealed class Worker<TJob, TResult>(ChannelWorkers<TJob, TResult> workers, int number) : IThreadPoolWorkItem
{
    // Other work of the thread pool gets its chance even if the queue never runs empty.
    private const int JobsPerTurn = 256;

    public void Execute() => _ = RunAsync(); // does not throw: errors belong to the submissions

    private async Task RunAsync()
    {
        for (var jobs = 1; workers.TryTake(this, out var submission); jobs++)
        {
            if (!submission.TryStart()) continue; // cancelled while it was queued
            try
            {
                submission.End(await workers.Handler(submission.Job, number, submission.CancellationToken).ConfigureAwait(false));
            }
            catch (Exception error) // whatever it is, it goes to the one who submitted
            {
                submission.End(error);
            }
            if (jobs % JobsPerTurn == 0) await Task.Yield();
        }
    }
}
