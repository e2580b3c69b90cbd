using System.Collections.Concurrent;
using DistributedPatterns.Members;
using DistributedPatterns.Pipeline.Engine;
using DistributedPatterns.Pipeline.Protocol;
using Grpc.Core;

namespace DistributedPatterns.Pipeline;

/// <summary>A worker's part: runs the stages on each chunk and sends the results on to the sink.</summary>
/// <remarks>
/// Reads no further chunk while the sink does not take the last one, so the sink's pace reaches the producer through HTTP/2's
/// windows. Keeps nothing: when it dies, the producer sends what was not acknowledged to another worker.
/// </remarks>
internal sealed class PipelineWorkerService(PipelineCatalog catalog, IMembers members, IMemberChannels channels, TimeProvider time)
    : PipelineWorker.PipelineWorkerBase
{
    private static readonly TimeSpan s_waitForSink = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan s_lookEvery = TimeSpan.FromMilliseconds(50);

    public override async Task Transform(
        IAsyncStreamReader<WorkerMessage> requests, IServerStreamWriter<ChunkAck> replies, ServerCallContext context)
    {
        var header = await RunHeaders.ReadAsync(requests, context.CancellationToken).ConfigureAwait(false);
        var definition = RunHeaders.Find(catalog, header.Pipeline);
        var sink = await FindSinkAsync(header, context.CancellationToken).ConfigureAwait(false);

        using var stop = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, sink.Left);
        using var toSink = new PipelineReducer.PipelineReducerClient(channels.To(sink)).Fold(cancellationToken: stop.Token);
        var tallies = new ConcurrentDictionary<long, ChunkAck>();
        var acks = ForwardAcksAsync(toSink, tallies, replies, stop);
        try
        {
            await toSink.RequestStream.WriteAsync(new WorkerMessage { Header = header }, stop.Token).ConfigureAwait(false);
            await TransformAsync(definition, requests, toSink.RequestStream, tallies, stop.Token).ConfigureAwait(false);
            await toSink.RequestStream.CompleteAsync().ConfigureAwait(false);
            await acks.ConfigureAwait(false);
        }
        catch (PipelineStageException error)
        {
            throw error.ToRpc();
        }
        catch (Exception error) when (error is RpcException or OperationCanceledException or InvalidOperationException or IOException)
        {
            context.CancellationToken.ThrowIfCancellationRequested();
            var why = await ReasonAsync(acks).ConfigureAwait(false) ?? error;
            // The sink's own error, or a newer epoch at the sink, says more than "lost".
            if (why is RpcException rpc && (rpc.ToStageException() is not null || rpc.StatusCode is StatusCode.Aborted)) throw rpc;
            throw PipelineTrailers.SinkLost($"Worker {members.Self?.Id} lost sink {sink.Id}: {(why as RpcException)?.Status.Detail ?? why.Message}");
        }
        finally
        {
            await stop.CancelAsync().ConfigureAwait(false);
            await acks.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task TransformAsync(
        PipelineDefinition definition, IAsyncStreamReader<WorkerMessage> requests, IClientStreamWriter<WorkerMessage> toSink,
        ConcurrentDictionary<long, ChunkAck> tallies, CancellationToken stop)
    {
        var blocked = TimeSpan.Zero;
        while (true)
        {
            var since = time.GetTimestamp();
            if (!await requests.MoveNext(stop).ConfigureAwait(false)) return;
            var chunk = requests.Current.Chunk ?? throw RunHeaders.Unexpected();

            // A scope a chunk: what the chunk cost travels with its acknowledgement, and counts once however often it is sent.
            using var scope = new RunScope(definition, time, stop);
            scope.Stages[1].Starved(time.GetElapsedTime(since));
            scope.Stages[^2].Blocked(blocked);
            var output = await definition.OpenTransform(scope)(chunk.ToEncoded()).ConfigureAwait(false);
            if (output.Payload.Length > PipelineMessages.MaxPayloadBytes)
            {
                throw new PipelineStageException(definition.StageNames[^2], chunk.First + 1,
                    $"{output.Count:N0} results take {output.Payload.Length:N0} bytes; a message holds {PipelineMessages.MaxPayloadBytes:N0}.");
            }
            var tally = new ChunkAck { Number = chunk.Number, Removed = output.Removed };
            tally.AddTallies(scope);
            tallies[chunk.Number] = tally;

            since = time.GetTimestamp();
            await toSink.WriteAsync(output.ToMessage(chunk.Number), stop).ConfigureAwait(false);
            blocked = time.GetElapsedTime(since);
        }
    }

    private static async Task ForwardAcksAsync(
        AsyncDuplexStreamingCall<WorkerMessage, ChunkAck> toSink, ConcurrentDictionary<long, ChunkAck> tallies,
        IServerStreamWriter<ChunkAck> replies, CancellationTokenSource stop)
    {
        try
        {
            while (await toSink.ResponseStream.MoveNext(stop.Token).ConfigureAwait(false))
            {
                var ofSink = toSink.ResponseStream.Current;
                if (!tallies.TryRemove(ofSink.Number, out var ack)) continue;
                ack.Stages.Add(ofSink.Stages);
                await replies.WriteAsync(ack, stop.Token).ConfigureAwait(false);
            }
        }
        finally
        {
            await stop.CancelAsync().ConfigureAwait(false); // the other side may be waiting for a chunk that never comes
        }
    }

    // The write side of a broken stream says only that it broke; the read side has the status.
    private static async Task<Exception?> ReasonAsync(Task acks)
    {
        await acks.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return acks.Exception?.InnerException;
    }

    private async Task<Member> FindSinkAsync(RunHeader header, CancellationToken cancellationToken)
    {
        var since = time.GetTimestamp();
        while (time.GetElapsedTime(since) < s_waitForSink)
        {
            if (members.Live("reducer").FirstOrDefault(m => m.Id == header.SinkId && m.Start == header.SinkStart) is { } sink) return sink;
            await Task.Delay(s_lookEvery, time, cancellationToken).ConfigureAwait(false);
        }
        throw PipelineTrailers.SinkLost($"Worker {members.Self?.Id} does not know reducer {header.SinkId}.");
    }
}

/// <summary>The first message of a stream.</summary>
internal static class RunHeaders
{
    public static async Task<RunHeader> ReadAsync(IAsyncStreamReader<WorkerMessage> requests, CancellationToken cancellationToken) =>
        await requests.MoveNext(cancellationToken).ConfigureAwait(false) && requests.Current.Header is { } header ? header : throw Unexpected();

    public static PipelineDefinition Find(PipelineCatalog catalog, string name)
    {
        try
        {
            return catalog.Get(name);
        }
        catch (UnknownPipelineException unknown)
        {
            throw new RpcException(new Status(StatusCode.FailedPrecondition, unknown.Message));
        }
    }

    public static RpcException Unexpected() => new(new Status(StatusCode.InvalidArgument, "A stream is one header and then chunks."));
}
