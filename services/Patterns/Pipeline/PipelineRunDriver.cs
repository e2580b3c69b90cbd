using System.Diagnostics;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Members;
using DistributedPatterns.Pipeline.Engine;
using Microsoft.Extensions.Logging;
using StackExchange.Redis;

namespace DistributedPatterns.Pipeline;

/// <summary>Drives one claimed run, epoch after epoch, until it has an outcome or another producer has taken it.</summary>
internal sealed partial class PipelineRunDriver(
    ClaimedRun run, PipelineCatalog catalog, RedisRunStore store, GrpcPipelineOptions options,
    IMembers members, IMemberChannels channels, TimeProvider time, ILogger logger)
{
    private const int MaxAttempts = 10; // of producers, and of epochs by each: an input that kills its readers must not do so for ever
    private static readonly TimeSpan s_retryEvery = TimeSpan.FromMilliseconds(500);

    private readonly CancellationTokenSource _lost = new(); // the lease, or the wish to keep it
    private readonly long _startedAt = time.GetTimestamp();
    private readonly Lock _gate = new();
    private long _epoch = run.Epoch;
    private int _replays = run.Attempts - 1;
    private PipelineStop? _stop = run.Stop;
    private bool _isDraining; // for good: an abort that comes too late for a drained run must not make it one that read everything
    private long _readBefore; // by attempts that were lost: a drain covers what they had read
    private volatile bool _isFinishing;
    private RunScope? _scope;
    private EpochDriver? _driver;
    private Task _running = Task.CompletedTask;

    public void Start(Action onEnded) => _running = RunAsync(onEnded);

    /// <summary>Keeps the lease and learns of a wish to stop. Never throws: while Redis is away the run goes on, for every effect it has is fenced.</summary>
    public async Task RenewAsync()
    {
        if (_lost.IsCancellationRequested) return;
        try
        {
            var (held, stop) = await store.RenewAsync(run.Id, Interlocked.Read(ref _epoch), ReadStatus()).ConfigureAwait(false);
            if (!held)
            {
                if (!_isFinishing) LogTaken(run.Id); // else the run is held no more because it has ended
                await _lost.CancelAsync().ConfigureAwait(false);
            }
            else if (stop is not null && stop != _stop)
            {
                _stop = stop;
                ApplyStop();
            }
        }
        catch (Exception error) when (error is RedisException or TimeoutException)
        {
            LogNotRenewed(run.Id, error.Message);
        }
    }

    /// <summary>Stops driving and lets another producer go on at once.</summary>
    public async Task HandOverAsync()
    {
        await _lost.CancelAsync().ConfigureAwait(false);
        await _running.ConfigureAwait(false);
        try
        {
            await store.ReleaseAsync(run.Id, _epoch).ConfigureAwait(false);
        }
        catch (Exception error) when (error is RedisException or TimeoutException)
        {
            LogNotRenewed(run.Id, error.Message); // the lease runs out by itself
        }
    }

    private async Task RunAsync(Action onEnded)
    {
        ActivityContext.TryParse(run.Request.TraceParent, null, out var parent);
        using var activity = PatternsTelemetry.Source.StartActivity("pipeline run", ActivityKind.Internal, parent);
        activity?.SetTag(PatternsTelemetry.PatternTag, "pipeline");
        activity?.SetTag(PatternsTelemetry.VariantTag, Variants.Distributed);
        activity?.SetTag("patterns.pipeline", run.Request.Pipeline);
        try
        {
            var status = await DriveAsync().ConfigureAwait(false);
            if (status?.Error is { } error) activity?.SetStatus(ActivityStatusCode.Error, error.Message);
            if (status is not null) await FinishAsync(status).ConfigureAwait(false);
        }
        catch (Exception error)
        {
            // A bug here must not take the producer down; the lease runs out and another producer tries.
            LogBroken(run.Id, error);
        }
        finally
        {
            onEnded();
        }
    }

    /// <summary>Returns the run's final status, or <see langword="null"/> when the run is no longer ours.</summary>
    private async Task<PipelineStatus?> DriveAsync()
    {
        if (run.Attempts > MaxAttempts) return GivenUp($"The run was given up after {MaxAttempts} producers were lost driving it.");
        PipelineDefinition definition;
        try
        {
            definition = catalog.Get(run.Request.Pipeline);
        }
        catch (UnknownPipelineException unknown)
        {
            return ReadStatus().Ended(PipelineState.Failed, unknown);
        }

        // Another producer may have had the run: what it last reported is at least what it had read.
        _readBefore = (await WhileHeldAsync(() => store.GetAsync(run.Id)).ConfigureAwait(false))?.Ledger.Read ?? 0;
        for (var attempt = 1; ; attempt++)
        {
            using var scope = new RunScope(definition, time, _lost.Token);
            using var driver = new EpochDriver(run.Id, _epoch, scope, options, members, channels, logger);
            lock (_gate) (_scope, _driver) = (scope, driver);
            ApplyStop();
            try
            {
                var result = await driver.RunAsync(run.Request.Input).ConfigureAwait(false);
                return ReadStatus().Ended(_isDraining ? PipelineState.Drained : PipelineState.Completed, result: result);
            }
            catch (SinkLostException lost) when (!_lost.IsCancellationRequested)
            {
                LogReplay(run.Id, lost.Message);
                if (attempt == MaxAttempts) return GivenUp($"The run was given up after {MaxAttempts} reducers were lost: {lost.Message}");
            }
            catch (PipelineException failed)
            {
                return ReadStatus().Ended(PipelineState.Failed, failed);
            }
            catch (OperationCanceledException)
            {
                return _lost.IsCancellationRequested ? null : ReadStatus().Ended(PipelineState.Aborted);
            }
            finally
            {
                lock (_gate) _readBefore = Math.Max(_readBefore, scope.Stages[0].Read().Out);
                foreach (var stage in scope.Stages) stage.Publish(definition.Name, Variants.Distributed);
            }
            if (!await BeginNextEpochAsync().ConfigureAwait(false)) return null;
        }
    }

    private async Task<bool> BeginNextEpochAsync()
    {
        var next = await WhileHeldAsync(() => store.ReplayAsync(run.Id, _epoch)).ConfigureAwait(false);
        if (next is null) return false;
        Interlocked.Exchange(ref _epoch, next.Value);
        _replays++;
        return true;
    }

    private Task<bool?> FinishAsync(PipelineStatus status) => WhileHeldAsync<bool?>(async () =>
    {
        _isFinishing = true;
        if (await store.FinishAsync(run.Id, _epoch, status).ConfigureAwait(false)) LogEnded(run.Id, run.Request.Pipeline, status.State, status.Ledger.Read);
        else LogTaken(run.Id);
        return true;
    });

    /// <summary>Repeats a step until Redis answers; gives up when the run is no longer ours.</summary>
    private async Task<T?> WhileHeldAsync<T>(Func<Task<T?>> step)
    {
        while (!_lost.IsCancellationRequested)
        {
            try
            {
                return await step().ConfigureAwait(false);
            }
            catch (Exception error) when (error is RedisException or TimeoutException)
            {
                LogNotRenewed(run.Id, error.Message);
            }
            await Task.Delay(s_retryEvery, time, _lost.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        return default;
    }

    private void ApplyStop()
    {
        lock (_gate)
        {
            _isDraining |= _stop is PipelineStop.Drain;
            if (_stop is PipelineStop.Drain) _scope?.StopReadingAfter(_readBefore);
            else if (_stop is PipelineStop.Abort) _scope?.Cancel();
        }
    }

    private PipelineStatus GivenUp(string message) => ReadStatus().Ended(PipelineState.Failed, new PipelineRunException(message));

    private PipelineStatus ReadStatus()
    {
        RunScope? scope;
        long done;
        lock (_gate) (scope, done) = (_scope, _driver?.Done ?? 0);
        var status = new PipelineStatus
        {
            Id = run.Id,
            Pipeline = run.Request.Pipeline,
            Input = run.Request.Input,
            State = _isDraining ? PipelineState.Draining : PipelineState.Running,
            Epoch = Interlocked.Read(ref _epoch),
            Replays = _replays,
            Elapsed = time.GetElapsedTime(_startedAt),
        };
        return scope is null ? status : status.Counted(scope, done);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Run {Run} reads its input again: {Reason}")]
    private partial void LogReplay(string run, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "Run {Run} of {Pipeline} ended: {State}, {Read} items read")]
    private partial void LogEnded(string run, string pipeline, PipelineState state, long read);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Run {Run} has another producer now")]
    private partial void LogTaken(string run);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Redis cannot be reached for run {Run}: {Reason}")]
    private partial void LogNotRenewed(string run, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "Run {Run} could not be driven")]
    private partial void LogBroken(string run, Exception error);
}
