using System.Threading.Channels;
using DistributedPatterns.Members;
using DistributedPatterns.Pipeline.Protocol;
using Google.Protobuf;
using Grpc.Core;

namespace DistributedPatterns.Pipeline;

/// <summary>A reducer's part: holds a run's sink for one epoch and folds each chunk into it once.</summary>
internal sealed class PipelineReducerService(PipelineCatalog catalog, IMembers members, SinkSessions sessions) : PipelineReducer.PipelineReducerBase
{
    public override Task<SinkOpened> Open(OpenSink request, ServerCallContext context)
    {
        var self = members.Self ?? throw new RpcException(new Status(StatusCode.Unavailable, "This reducer has not joined yet."));
        sessions.Open(request.RunId, request.Epoch, RunHeaders.Find(catalog, request.Pipeline));
        return Task.FromResult(new SinkOpened { SinkId = self.Id, SinkStart = self.Start });
    }

    public override async Task Fold(IAsyncStreamReader<WorkerMessage> requests, IServerStreamWriter<ChunkAck> replies, ServerCallContext context)
    {
        var header = await RunHeaders.ReadAsync(requests, context.CancellationToken).ConfigureAwait(false);
        var session = sessions.Get(header.RunId, header.Epoch);
        var acks = Channel.CreateUnbounded<ChunkAck>(new UnboundedChannelOptions { SingleReader = true }); // bounded by the run's window
        var writing = WriteAcksAsync(acks.Reader, replies, context.CancellationToken);
        session.StreamOpened();
        try
        {
            while (await requests.MoveNext(context.CancellationToken).ConfigureAwait(false))
            {
                var chunk = requests.Current.Chunk ?? throw RunHeaders.Unexpected();
                session.Add(chunk.Number, chunk.ToEncoded(), ack => acks.Writer.TryWrite(ack));
            }
        }
        catch (PipelineStageException error)
        {
            throw error.ToRpc();
        }
        finally
        {
            session.StreamClosed();
            acks.Writer.TryComplete();
            await writing.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    public override Task<SinkFinished> Finish(FinishSink request, ServerCallContext context)
    {
        try
        {
            var result = sessions.Get(request.RunId, request.Epoch).Finish(request.Chunks);
            return Task.FromResult(new SinkFinished { Result = UnsafeByteOperations.UnsafeWrap(result) });
        }
        catch (PipelineStageException error)
        {
            throw error.ToRpc();
        }
    }

    private static async Task WriteAcksAsync(ChannelReader<ChunkAck> acks, IServerStreamWriter<ChunkAck> replies, CancellationToken cancellationToken)
    {
        await foreach (var ack in acks.ReadAllAsync(cancellationToken).ConfigureAwait(false))
            await replies.WriteAsync(ack, cancellationToken).ConfigureAwait(false);
    }
}
