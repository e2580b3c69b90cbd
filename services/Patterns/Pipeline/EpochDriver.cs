using System.Collections.Concurrent;
using System.Text.Json;
using DistributedPatterns.Members;
using DistributedPatterns.Pipeline.Engine;
using DistributedPatterns.Pipeline.Protocol;
using Grpc.Core;
using Microsoft.Extensions.Logging;
using Polly;
using Polly.Retry;

namespace DistributedPatterns.Pipeline;

/// <summary>Drives one epoch of a run in a producer: reads the source, spreads its chunks over the living workers, and asks the sink for the result.</summary>
internal sealed partial class EpochDriver(
    string runId, long number, RunScope scope, GrpcPipelineOptions options, IMembers members, IMemberChannels channels, ILogger logger)
    : IDisposable
{
    private static readonly TimeSpan s_lookEvery = TimeSpan.FromMilliseconds(200);

    private readonly CancellationTokenSource _allAcknowledged = new();
    private readonly ConcurrentDictionary<string, string> _lostWorkers = new(StringComparer.Ordinal);
    private long _done;

    public RunScope Scope => scope;

    public MessageWindow Window { get; } = new(options.Window);

    public RunHeader Header { get; private set; } = new();

    public CancellationToken AllAcknowledged => _allAcknowledged.Token;

    /// <summary>Gets how many items of the source are in the sink.</summary>
    public long Done => Interlocked.Read(ref _done);

    /// <summary>Runs the epoch to its end.</summary>
    /// <exception cref="SinkLostException">The reducer that held the state is lost: only another epoch can give a result.</exception>
    /// <exception cref="PipelineException">A stage failed, or no member was there to take the work.</exception>
    /// <exception cref="OperationCanceledException">The scope was cancelled.</exception>
    public async Task<JsonElement> RunAsync(string input)
    {
        var sink = await OpenSinkAsync().ConfigureAwait(false);
        using var sinkLeft = sink.Left.Register(() => scope.Fail(new SinkLostException($"Reducer {sink.Id} left.")));
        Header = new RunHeader
        {
            RunId = runId,
            Epoch = number,
            Pipeline = scope.Definition.Name,
            SinkId = sink.Id,
            SinkStart = sink.Start,
        };

        var workers = KeepWorkersAsync();
        try
        {
            await scope.Definition.ReadEncodedAsync(input, scope, chunk => Window.AddAsync(chunk, scope.Token)).ConfigureAwait(false);
            await Window.WhenEmptyAsync(scope.Token).ConfigureAwait(false);
        }
        catch (Exception error) when (!scope.Token.IsCancellationRequested)
        {
            scope.Fail(error);
        }
        catch (OperationCanceledException)
        {
            // Told below why.
        }
        await _allAcknowledged.CancelAsync().ConfigureAwait(false);
        await workers.ConfigureAwait(false);
        ThrowIfStopped();
        return await FinishAsync(sink).ConfigureAwait(false);
    }

    public void Acknowledge(Message message, ChunkAck ack)
    {
        scope.Add(ack);
        Interlocked.Add(ref _done, message.Chunk.Span - ack.Removed);
        Window.Acknowledge();
    }

    /// <summary>Decides what a broken stream means: for the run, for the epoch, or for this worker alone.</summary>
    public void OnWorkerError(Member worker, RpcException error)
    {
        if (scope.Token.IsCancellationRequested || AllAcknowledged.IsCancellationRequested) return;
        if (error.ToStageException() is { } stage) scope.Fail(stage);
        else if (error.IsSinkLost()) scope.Fail(new SinkLostException(error.Status.Detail));
        else if (error.StatusCode is StatusCode.Aborted) scope.Fail(new SinkLostException($"The sink refused epoch {number}: {error.Status.Detail}"));
        else if (error.StatusCode is StatusCode.FailedPrecondition) scope.Fail(new PipelineRunException($"{worker.Id}: {error.Status.Detail}"));
        else if (_lostWorkers.TryAdd(worker.Start, worker.Id)) LogWorkerLost(worker.Id, runId, error.Status.Detail); // once, not at each try until its lease runs out
    }

    public void Dispose() => _allAcknowledged.Dispose();

    private void ThrowIfStopped()
    {
        if (scope.Error is { } error) System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(error);
        scope.Token.ThrowIfCancellationRequested();
    }

    /// <summary>Keeps one stream to every living worker, until everything is acknowledged.</summary>
    private async Task KeepWorkersAsync()
    {
        var links = new Dictionary<string, Task>();
        var aloneSince = scope.Time.GetTimestamp();
        using var over = CancellationTokenSource.CreateLinkedTokenSource(scope.Token, AllAcknowledged);
        while (!over.IsCancellationRequested)
        {
            foreach (var (id, _) in links.Where(link => link.Value.IsCompleted).ToArray()) links.Remove(id);
            foreach (var worker in members.Live("worker").Where(worker => worker.Grpc is not null && !links.ContainsKey(worker.Start)))
            {
                var client = new PipelineWorker.PipelineWorkerClient(channels.To(worker));
                links[worker.Start] = new WorkerLink(this, worker, client, Math.Max(1, options.Window / 4)).RunAsync();
            }

            if (links.Count > 0) aloneSince = scope.Time.GetTimestamp();
            else if (scope.Time.GetElapsedTime(aloneSince) > options.MemberWait)
                scope.Fail(new PipelineRunException($"No worker was alive for {options.MemberWait}. Start one, or raise MemberWait."));
            await Task.Delay(s_lookEvery, scope.Time, over.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        await Task.WhenAll(links.Values).ConfigureAwait(false);
    }

    private async Task<Member> OpenSinkAsync()
    {
        var client = new PipelineReducer.PipelineReducerClient(channels.To("reducer"));
        using var limit = new CancellationTokenSource(options.MemberWait, scope.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, scope.Token);
        var retry = new ResiliencePipelineBuilder { TimeProvider = scope.Time }
            .AddRetry(new RetryStrategyOptions
            {
                MaxRetryAttempts = int.MaxValue, // within the limit above
                Delay = TimeSpan.FromMilliseconds(100),
                MaxDelay = TimeSpan.FromSeconds(2),
                BackoffType = DelayBackoffType.Exponential,
                UseJitter = true,
                ShouldHandle = new PredicateBuilder().Handle<RpcException>(error => error.StatusCode is StatusCode.Unavailable),
            })
            .Build();
        try
        {
            return await retry.ExecuteAsync(async token =>
            {
                var request = new OpenSink { RunId = runId, Epoch = number, Pipeline = scope.Definition.Name };
                var opened = await client.OpenAsync(request, cancellationToken: token).ConfigureAwait(false);
                return members.Live("reducer").FirstOrDefault(member => member.Id == opened.SinkId && member.Start == opened.SinkStart)
                    ?? throw new RpcException(new Status(StatusCode.Unavailable, $"Reducer {opened.SinkId} is not known here yet."));
            }, either.Token).ConfigureAwait(false);
        }
        catch (Exception error) when (limit.IsCancellationRequested && error is OperationCanceledException or RpcException { StatusCode: StatusCode.Cancelled })
        {
            scope.Token.ThrowIfCancellationRequested();
            throw new PipelineRunException($"No reducer was alive for {options.MemberWait}. Start one, or raise MemberWait.");
        }
        catch (RpcException error) when (error.StatusCode is StatusCode.FailedPrecondition)
        {
            throw new PipelineRunException(error.Status.Detail);
        }
        catch (RpcException error)
        {
            throw new SinkLostException($"Opening the sink failed: {error.Status.Detail}");
        }
    }

    private async Task<JsonElement> FinishAsync(Member sink)
    {
        var client = new PipelineReducer.PipelineReducerClient(channels.To(sink));
        try
        {
            var request = new FinishSink { RunId = runId, Epoch = number, Chunks = Window.Count };
            var finished = await client.FinishAsync(request, cancellationToken: scope.Token).ConfigureAwait(false);
            using var json = JsonDocument.Parse(finished.Result.Memory);
            return json.RootElement.Clone();
        }
        catch (RpcException error) when (error.ToStageException() is { } stage)
        {
            throw stage;
        }
        catch (RpcException error)
        {
            ThrowIfStopped();
            throw new SinkLostException($"Reducer {sink.Id} did not give the result: {error.Status.Detail}");
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Worker {Worker} is lost to run {Run}, its chunks go to others: {Reason}")]
    private partial void LogWorkerLost(string worker, string run, string reason);
}

/// <summary>The process that held a run's state is lost, and the state with it.</summary>
internal sealed class SinkLostException(string message) : Exception(message);
