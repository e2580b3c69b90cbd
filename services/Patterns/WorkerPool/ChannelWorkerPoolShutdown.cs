using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.WorkerPool;

/// <summary>Drains the pool when the host stops, and says what did not get done.</summary>
internal sealed partial class ChannelWorkerPoolShutdown(
    ChannelWorkerPool pool, IOptions<ChannelWorkerPoolOptions> options, ILogger<ChannelWorkerPoolShutdown> logger) : IHostedService
{
    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        var report = await pool.DrainAsync(options.Value.ShutdownLimit, cancellationToken).ConfigureAwait(false);
        if (report.HandedBack + report.NotStopped.Count > 0) LogLeft(report.Finished, report.HandedBack, report.NotStopped.Count);
        foreach (var job in report.NotStopped) LogNotStopped(job.Id, job.Job, job.Since);
    }

    [LoggerMessage(LogLevel.Warning, "The worker pool stopped: {Finished} jobs finished, {HandedBack} were cancelled, {NotStopped} did not stop")]
    private partial void LogLeft(long finished, long handedBack, int notStopped);

    [LoggerMessage(LogLevel.Warning, "Job {Id} ({Job}) does not honour its token; it has been running for {Since}")]
    private partial void LogNotStopped(string id, string job, TimeSpan since);
}
