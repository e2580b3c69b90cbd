using System.Collections.Concurrent;
using DistributedPatterns.Members;
using DistributedPatterns.Pipeline.Protocol;
using Grpc.Core;

namespace DistributedPatterns.Pipeline;

/// <summary>One epoch's stream to one worker: sends it chunks, takes its acknowledgements, gives back what it did not acknowledge.</summary>
internal sealed class WorkerLink(EpochDriver epoch, Member worker, PipelineWorker.PipelineWorkerClient client, int maxInFlight)
{
    private readonly ConcurrentDictionary<long, Message> _inFlight = [];
    private readonly SemaphoreSlim _slots = new(maxInFlight, maxInFlight);

    /// <summary>Runs until the epoch is over or the worker is lost; throws neither way.</summary>
    public async Task RunAsync()
    {
        // A frozen worker keeps its connection open: only its membership tells.
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(epoch.Scope.Token, worker.Left);
        using var call = client.Transform(cancellationToken: stop.Token);
        var acks = ReadAcksAsync(call, stop);
        try
        {
            await call.RequestStream.WriteAsync(new WorkerMessage { Header = epoch.Header }, stop.Token).ConfigureAwait(false);
            using var send = CancellationTokenSource.CreateLinkedTokenSource(stop.Token, epoch.AllAcknowledged);
            while (true)
            {
                await _slots.WaitAsync(send.Token).ConfigureAwait(false);
                var message = await epoch.Window.TakeAsync(send.Token).ConfigureAwait(false);
                _inFlight[message.Number] = message;
                await call.RequestStream.WriteAsync(message.Chunk.ToMessage(message.Number), stop.Token).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (epoch.AllAcknowledged.IsCancellationRequested)
        {
            await call.RequestStream.CompleteAsync().ConfigureAwait(false);
        }
        catch (Exception error) when (error is OperationCanceledException or RpcException or InvalidOperationException or IOException)
        {
            // The stream broke. The acknowledgements' side knows why; whatever it is, the chunks go back below.
        }
        await acks.ConfigureAwait(false);
        foreach (var message in _inFlight.Values) epoch.Window.GiveBack(message);
    }

    private async Task ReadAcksAsync(AsyncDuplexStreamingCall<WorkerMessage, ChunkAck> call, CancellationTokenSource stop)
    {
        try
        {
            while (await call.ResponseStream.MoveNext(stop.Token).ConfigureAwait(false))
            {
                var ack = call.ResponseStream.Current;
                if (!_inFlight.TryRemove(ack.Number, out var message)) continue;
                epoch.Acknowledge(message, ack);
                _slots.Release();
            }
        }
        catch (RpcException error)
        {
            epoch.OnWorkerError(worker, error);
        }
        catch (OperationCanceledException)
        {
            // The epoch is over.
        }
        finally
        {
            await stop.CancelAsync().ConfigureAwait(false);
        }
    }
}
