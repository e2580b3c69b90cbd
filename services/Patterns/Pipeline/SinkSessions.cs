using System.Collections.Concurrent;
using DistributedPatterns.Pipeline.Engine;
using Grpc.Core;

namespace DistributedPatterns.Pipeline;

/// <summary>The sinks that this reducer holds: one a run, of the newest epoch it has heard of.</summary>
internal sealed class SinkSessions(TimeProvider time)
{
    private static readonly TimeSpan s_forgetIdleAfter = TimeSpan.FromMinutes(1);

    private readonly ConcurrentDictionary<string, SinkSession> _byRun = [];

    public void Open(string runId, long epoch, PipelineDefinition definition)
    {
        ForgetIdle();
        _byRun.AddOrUpdate(
            runId,
            _ => new SinkSession(epoch, definition, time),
            (_, open) => open.Epoch == epoch ? open
                : open.Epoch < epoch ? new SinkSession(epoch, definition, time)
                : throw new RpcException(new Status(StatusCode.Aborted, $"Run {runId} is at epoch {open.Epoch}; {epoch} is over.")));
    }

    public SinkSession Get(string runId, long epoch) =>
        !_byRun.TryGetValue(runId, out var open) ? throw new RpcException(new Status(StatusCode.NotFound, $"No sink of run {runId} is here."))
        : open.Epoch == epoch ? open
        : throw new RpcException(new Status(StatusCode.Aborted, $"Run {runId} is at epoch {open.Epoch}, not {epoch}."));

    // A producer that dies, or comes back for another epoch elsewhere, leaves its sink behind.
    private void ForgetIdle()
    {
        foreach (var (runId, session) in _byRun)
            if (session.IsIdleFor(s_forgetIdleAfter)) _byRun.TryRemove(new(runId, session));
    }
}

/// <summary>One run's sink under one epoch: takes every chunk once, in order where the pipeline keeps order.</summary>
/// <remarks>A chunk is acknowledged when it is folded, not when it is here. What waits for an earlier one is thus bounded by the run's window.</remarks>
internal sealed class SinkSession
{
    private readonly Lock _gate = new();
    private readonly TimeProvider _time;
    private readonly RunScope _scope;
    private readonly IEncodedSink _sink;
    private readonly bool _inOrder;
    private readonly SortedDictionary<long, Waiting> _early = []; // in order: not their turn yet
    private readonly HashSet<long> _ahead = []; // unordered: folded, but beyond _next
    private long _next; // every number below is folded
    private long _lastUsed;
    private int _streams;
    private byte[]? _result;

    public SinkSession(long epoch, PipelineDefinition definition, TimeProvider time)
    {
        Epoch = epoch;
        _time = time;
        _scope = new RunScope(definition, time);
        _sink = definition.OpenSink(_scope);
        _inOrder = definition.KeepsOrder;
        _lastUsed = time.GetTimestamp();
    }

    private readonly record struct Waiting(EncodedChunk Chunk, Action<Protocol.ChunkAck> Acknowledge);

    public long Epoch { get; }

    /// <summary>Folds a chunk now or when its turn comes, and acknowledges it then; one that was folded before is acknowledged at once.</summary>
    /// <exception cref="PipelineStageException">The sink's code threw.</exception>
    public void Add(long number, EncodedChunk chunk, Action<Protocol.ChunkAck> acknowledge)
    {
        lock (_gate)
        {
            if (number < _next || _ahead.Contains(number))
            {
                acknowledge(new Protocol.ChunkAck { Number = number });
                return;
            }
            if (_inOrder)
            {
                // Two copies may wait, and one of their streams may be dead by now: both get the acknowledgement.
                if (_early.TryGetValue(number, out var first)) acknowledge += first.Acknowledge;
                _early[number] = new Waiting(chunk, acknowledge);
                while (_early.Remove(_next, out var turn)) Fold(_next++, turn);
            }
            else
            {
                Fold(number, new Waiting(chunk, acknowledge));
                _ahead.Add(number);
                while (_ahead.Remove(_next)) _next++;
            }
        }
    }

    /// <summary>Makes the result; the same one again when asked again.</summary>
    public byte[] Finish(long chunks)
    {
        lock (_gate)
        {
            if (_next != chunks)
                throw new RpcException(new Status(StatusCode.FailedPrecondition, $"{_next} of {chunks} chunks are folded; the result would be wrong."));
            _lastUsed = _time.GetTimestamp();
            return _result ??= System.Text.Json.JsonSerializer.SerializeToUtf8Bytes(_sink.Finish());
        }
    }

    public void StreamOpened()
    {
        lock (_gate) _streams++;
    }

    public void StreamClosed()
    {
        lock (_gate)
        {
            _streams--;
            _lastUsed = _time.GetTimestamp();
        }
    }

    public bool IsIdleFor(TimeSpan limit)
    {
        lock (_gate) return _streams == 0 && _time.GetElapsedTime(_lastUsed) > limit;
    }

    private void Fold(long number, Waiting turn)
    {
        var meter = _scope.Stages[^1];
        var since = _time.GetTimestamp();
        _sink.Add(turn.Chunk);
        var busy = _time.GetElapsedTime(since);
        meter.Busy(busy);
        var ack = new Protocol.ChunkAck { Number = number };
        ack.Stages.Add(new Protocol.StageTally
        {
            Index = _scope.Stages.Length - 1,
            In = turn.Chunk.Count,
            Out = turn.Chunk.Count,
            BusyTicks = busy.Ticks,
        });
        turn.Acknowledge(ack);
    }
}
