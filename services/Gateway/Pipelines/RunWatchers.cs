using System.Globalization;
using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using DistributedPatterns.Pipeline;

namespace DistributedPatterns.Gateway.Pipelines;

/// <summary>Streams the progress of runs to those who watch.</summary>
/// <remarks>An event is a snapshot, so a slow watcher misses snapshots between, never the last one, and nothing is kept for it.</remarks>
internal sealed class RunWatchers(WatcherPlaces places, TimeProvider time, IHostApplicationLifetime lifetime)
{
    private static readonly TimeSpan s_lookEvery = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan s_heartbeat = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan s_reconnectAfter = TimeSpan.FromSeconds(2);

    public int Count => places.Count;

    /// <inheritdoc cref="WatcherPlaces.Enter"/>
    public void Enter(HttpContext http) => places.Enter(http, "Poll the run with ?wait= instead.");

    /// <summary>Yields the run's status now, after changes, every 15 seconds without one as <c>heartbeat</c>, and as <c>ended</c> at its end.</summary>
    /// <param name="lastEventId">What a client that was cut off saw last: numbering goes on behind it.</param>
    public async IAsyncEnumerable<SseItem<PipelineStatus>> WatchAsync(
        IPipelineRun run, string? lastEventId, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, lifetime.ApplicationStopping);
        long.TryParse(lastEventId, NumberStyles.None, CultureInfo.InvariantCulture, out var sequence);
        PipelineStatus? shown = null;
        var shownAt = time.GetTimestamp();
        while (!stop.IsCancellationRequested)
        {
            if (await ReadAsync(run, stop.Token) is not { } status) yield break;
            var isNews = shown is null || status.State != shown.State || status.Ledger != shown.Ledger || status.Replays != shown.Replays;
            if (isNews || time.GetElapsedTime(shownAt) >= s_heartbeat)
            {
                yield return new SseItem<PipelineStatus>(status, status.HasEnded ? "ended" : isNews ? "status" : "heartbeat")
                {
                    EventId = (++sequence).ToString(CultureInfo.InvariantCulture),
                    ReconnectionInterval = shown is null ? s_reconnectAfter : null,
                };
                (shown, shownAt) = (status, time.GetTimestamp());
            }
            if (status.HasEnded) yield break;
            await Task.Delay(s_lookEvery, time, stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private static async Task<PipelineStatus?> ReadAsync(IPipelineRun run, CancellationToken cancellationToken)
    {
        try
        {
            return await run.GetStatusAsync(cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            return null;
        }
    }
}
