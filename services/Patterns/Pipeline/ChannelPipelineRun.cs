using System.Text.Json;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Pipeline.Engine;

namespace DistributedPatterns.Pipeline;

internal sealed class ChannelPipelineRun : IPipelineRun
{
    private static readonly TimeSpan s_publishEvery = TimeSpan.FromSeconds(1);

    private readonly PipelineDefinition _definition;
    private readonly string _input;
    private readonly TimeProvider _time;
    private readonly RunScope _scope;
    private readonly TaskCompletionSource<PipelineStatus> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly long _startedAt;
    private ChannelWiring? _wiring;
    private bool _isDraining;

    public ChannelPipelineRun(string id, PipelineDefinition definition, string input, TimeProvider time)
    {
        Id = id;
        _definition = definition;
        _input = input;
        _time = time;
        _startedAt = time.GetTimestamp();
        _scope = new RunScope(definition, time);
    }

    public string Id { get; }

    public ValueTask<PipelineStatus> GetStatusAsync(CancellationToken cancellationToken = default) =>
        new(_ended.Task.IsCompleted ? _ended.Task.Result : Read(_isDraining ? PipelineState.Draining : PipelineState.Running));

    public Task<PipelineStatus> WaitAsync(CancellationToken cancellationToken = default) => _ended.Task.WaitAsync(cancellationToken);

    public ValueTask StopAsync(PipelineStop how, CancellationToken cancellationToken = default)
    {
        lock (_scope)
        {
            if (_ended.Task.IsCompleted) return default;
            // For good: an abort that comes too late for a drained run must not make it one that read everything.
            _isDraining |= how == PipelineStop.Drain;
            if (how == PipelineStop.Abort) _scope.Cancel();
            else _scope.StopReading();
        }
        return default;
    }

    /// <param name="onEnded">Called once the run has ended, before those who wait for it learn of it.</param>
    public void Start(Action onEnded)
    {
        _wiring = _definition.StartInProcess(_input, _scope);
        _ = RunAsync(_wiring, onEnded); // ends in _ended whatever happens
    }

    private async Task RunAsync(ChannelWiring wiring, Action onEnded)
    {
        using var activity = PatternsTelemetry.Source.StartActivity("pipeline run");
        activity?.SetTag(PatternsTelemetry.PatternTag, "pipeline");
        activity?.SetTag(PatternsTelemetry.VariantTag, Variants.Channel);
        activity?.SetTag("patterns.pipeline", _definition.Name);
        var publishing = _time.CreateTimer(_ => Publish(), null, s_publishEvery, s_publishEvery);
        await wiring.WhenEndedAsync().ConfigureAwait(false);
        await publishing.DisposeAsync().ConfigureAwait(false); // waits for a last call of it, for Publish has one caller at a time

        var status = Conclude(wiring);
        if (status.Error is { } error) activity?.SetStatus(System.Diagnostics.ActivityStatusCode.Error, error.Message);
        Publish();
        onEnded();
        lock (_scope)
        {
            _ended.SetResult(status);
            _scope.Dispose();
        }
    }

    private PipelineStatus Conclude(ChannelWiring wiring)
    {
        var error = _scope.Error;
        JsonElement? result = null;
        if (error is null && !_scope.Token.IsCancellationRequested)
        {
            try
            {
                result = wiring.Result();
            }
            catch (Exception failed)
            {
                error = failed; // the definition's own code, or a result that JSON cannot say: either way the run has ended
            }
        }

        var state = error is not null ? PipelineState.Failed
            : result is null ? PipelineState.Aborted
            : _isDraining ? PipelineState.Drained
            : PipelineState.Completed;
        return Read(state).Ended(state, error, result);
    }

    private PipelineStatus Read(PipelineState state) => new PipelineStatus
    {
        Id = Id,
        Pipeline = _definition.Name,
        Input = _input,
        State = state,
        Elapsed = _time.GetElapsedTime(_startedAt),
    }.Counted(_scope, _wiring?.Done() ?? 0);

    private void Publish()
    {
        foreach (var stage in _scope.Stages) stage.Publish(_definition.Name, Variants.Channel);
    }
}
