using DistributedPatterns.Pipeline.Engine;
using DistributedPatterns.Pipeline.Protocol;
using Google.Protobuf;

namespace DistributedPatterns.Pipeline;

/// <summary>Between the engine's types and the wire's.</summary>
internal static class PipelineMessages
{
    /// <summary>A source's chunk with more payload than this travels in several messages.</summary>
    public const int SplitAboveBytes = 1024 * 1024;

    /// <summary>The largest payload of a message. Only a single huge item, or a stage that blows items up, gets here.</summary>
    public const int MaxPayloadBytes = 16 * 1024 * 1024;

    /// <summary>The largest message that is accepted: a payload and its envelope.</summary>
    public const int MaxMessageBytes = MaxPayloadBytes + 1024;

    public static WorkerMessage ToMessage(this EncodedChunk chunk, long number) => new()
    {
        Chunk = new Chunk
        {
            Number = number,
            First = chunk.First,
            Span = chunk.Span,
            Removed = chunk.Removed,
            Count = chunk.Count,
            Payload = UnsafeByteOperations.UnsafeWrap(chunk.Payload), // nobody writes to it any more
        },
    };

    public static EncodedChunk ToEncoded(this Chunk chunk) => new(chunk.First, chunk.Span, chunk.Removed, chunk.Count, chunk.Payload.Memory);

    /// <summary>Adds what the stages of a scope counted, for the stages that did anything.</summary>
    public static void AddTallies(this ChunkAck ack, RunScope scope)
    {
        for (var i = 0; i < scope.Stages.Length; i++)
        {
            var report = scope.Stages[i].Read();
            if (report is { In: 0, Busy.Ticks: 0, Starved.Ticks: 0, Blocked.Ticks: 0 }) continue;
            ack.Stages.Add(new StageTally
            {
                Index = i,
                In = report.In,
                Out = report.Out,
                Skipped = report.Skipped,
                Diverted = report.Diverted,
                Retried = report.Retried,
                BusyTicks = report.Busy.Ticks,
                StarvedTicks = report.Starved.Ticks,
                BlockedTicks = report.Blocked.Ticks,
            });
        }
        foreach (var item in scope.ReadDiverted()) ack.Diverted.Add(new Diverted { Number = item.Number, Stage = item.Stage, Reason = item.Reason });
    }

    /// <summary>Counts what an acknowledged chunk cost elsewhere.</summary>
    public static void Add(this RunScope scope, ChunkAck ack)
    {
        foreach (var tally in ack.Stages)
        {
            scope.Stages[tally.Index].Add(new StageReport(
                "", tally.In, tally.Out, tally.Skipped, tally.Diverted, tally.Retried,
                new(tally.BusyTicks), new(tally.StarvedTicks), new(tally.BlockedTicks)));
        }
        foreach (var item in ack.Diverted) scope.Divert(new DivertedItem(item.Number, item.Stage, item.Reason));
    }
}
