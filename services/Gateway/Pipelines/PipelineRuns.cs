using System.Collections.Concurrent;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Gateway.Patterns;
using DistributedPatterns.Gateway.Problems;
using DistributedPatterns.Gateway.Uploads;
using DistributedPatterns.Pipeline;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace DistributedPatterns.Gateway.Pipelines;

/// <summary>The runs of one variant, as the gateway sees them: each call is bounded in time, each run is followed to its end.</summary>
internal sealed partial class PipelineRuns(
    string variant, IServiceProvider services, UploadStore uploads, IOptions<ChannelPipelineOptions> channel,
    TimeProvider time, ILogger<PipelineRuns> logger) : IAsyncDisposable
{
    private static readonly TimeSpan s_askAgain = TimeSpan.FromSeconds(1);

    private readonly CancellationTokenSource _stopping = new();
    private readonly ConcurrentDictionary<string, Task> _followed = [];
    private readonly VariantCalls<IPipeline> _calls = new(variant, services);

    public PipelineTally Tally { get; } = new();

    /// <summary>Starts a run, or finds the one that the key started before.</summary>
    /// <param name="key">The caller's Idempotency-Key, or <see langword="null"/>.</param>
    /// <param name="upload">The file that the run reads, if it is one that came with the request; deleted once the run has ended.</param>
    /// <returns>The run's id and input, and whether it was there before.</returns>
    public Task<(IPipelineRun Run, string Input, bool IsReplay)> StartAsync(
        PipelineRequest request, string? key, Upload? upload, CancellationToken cancellationToken) =>
        _calls.CallAsync(async (pipeline, token) =>
        {
            var id = key is null ? null : (variant == Variants.Channel ? channel.Value.IdPrefix : "") + key;
            if (id is not null && await pipeline.FindAsync(id, token) is { } before)
                return (before, await CheckSameAsync(before, request, token), true);
            var run = await pipeline.StartAsync(request with { Id = id }, token);
            // Two requests with the same key can pass the look above together; one of them then got the other's run.
            var input = id is null ? request.Input : await CheckSameAsync(run, request, token);
            // The one whose file the run reads follows it: the others' files go at once.
            var followed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            if (input != request.Input || !_followed.TryAdd(run.Id, followed.Task)) return (run, input, true);
            Tally.Start();
            _ = FollowAsync(run, upload, followed);
            return (run, input, false);
        }, cancellationToken);

    /// <exception cref="ProblemException">There is no such run.</exception>
    public async Task<IPipelineRun> GetAsync(string id, CancellationToken cancellationToken) =>
        await _calls.CallAsync(async (pipeline, token) => await pipeline.FindAsync(id, token), cancellationToken)
        ?? throw new ProblemException(ProblemKind.RunNotFound, $"There is no run '{Text.Shorten(id)}', or it ended too long ago.");

    public Task<PipelineStatus> GetStatusAsync(IPipelineRun run, CancellationToken cancellationToken) =>
        _calls.CallAsync((_, token) => run.GetStatusAsync(token).AsTask(), cancellationToken);

    public Task StopAsync(IPipelineRun run, PipelineStop how, CancellationToken cancellationToken) =>
        _calls.CallAsync(async (_, token) =>
        {
            await run.StopAsync(how, token);
            return 0;
        }, cancellationToken);

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await Task.WhenAll(_followed.Values);
    }

    private async Task FollowAsync(IPipelineRun run, Upload? upload, TaskCompletionSource followed)
    {
        var status = await EndOfAsync(run);
        Tally.End(status);
        // Across processes a run without an end may go on elsewhere and read its input again; the file then goes by its age.
        if (upload is not null && (status is not null || variant == Variants.Channel)) uploads.Delete(upload);
        _followed.TryRemove(run.Id, out _);
        followed.SetResult();
    }

    private async Task<PipelineStatus?> EndOfAsync(IPipelineRun run)
    {
        while (true)
        {
            try
            {
                return await run.WaitAsync(_stopping.Token);
            }
            catch (Exception error) when (error is RedisException or RedisTimeoutException && !_stopping.IsCancellationRequested)
            {
                await Task.Delay(s_askAgain, time, _stopping.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
            catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
            {
                return null;
            }
            catch (Exception error)
            {
                LogLost(logger, run.Id, error);
                return null;
            }
        }
    }

    private static async Task<string> CheckSameAsync(IPipelineRun run, PipelineRequest request, CancellationToken cancellationToken)
    {
        var status = await run.GetStatusAsync(cancellationToken);
        return status.Pipeline == request.Pipeline && Upload.AreSame(status.Input, request.Input)
            ? status.Input
            : throw new ProblemException(ProblemKind.IdempotencyMismatch,
                $"The key started run {run.Id} of pipeline '{status.Pipeline}' over '{status.Input}', and this request asks for something else.");
    }

    [LoggerMessage(LogLevel.Warning, "The end of run {Run} will not be known")]
    private static partial void LogLost(ILogger logger, string run, Exception error);
}
