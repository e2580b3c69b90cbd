using System.Collections.Concurrent;
using DistributedPatterns.Members;
using DistributedPatterns.Pipeline.Protocol;
using Grpc.Core;

namespace DistributedPatterns.Pipeline;

/// <summary>One epoch's stream to one worker: sends it chunks, takes its acknowledgements, gives back what it did not acknowledge.</summary>
internal sealed class WorkerLink(EpochDriver epoch, Member worker, PipelineWorker.PipelineWorkerClient client, int maxInFlight)
{
    private readonly ConcurrentDictionary<long, Message> _inFlight = [];
    private readonly SemaphoreSlim _slots = new(maxInFlight);
    private readonly SemaphoreSlim _writing = new(1, 1); // a stream takes one write at a time

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
            await Task.WhenAll(SendFreshAsync(call, send.Token), SendReturnedAsync(call, send.Token)).ConfigureAwait(false);
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

    private async Task SendFreshAsync(AsyncDuplexStreamingCall<WorkerMessage, ChunkAck> call, CancellationToken cancellationToken)
    {
        while (true)
        {
            // A slow worker must not hoard what others could do.
            await _slots.WaitAsync(cancellationToken).ConfigureAwait(false);
            await SendAsync(call, await epoch.Window.TakeAsync(cancellationToken).ConfigureAwait(false), cancellationToken).ConfigureAwait(false);
        }
    }

    // Without a slot: in a pipeline that keeps order, every chunk that has one may be waiting for just this chunk.
    private async Task SendReturnedAsync(AsyncDuplexStreamingCall<WorkerMessage, ChunkAck> call, CancellationToken cancellationToken)
    {
        while (true)
            await SendAsync(call, await epoch.Window.TakeReturnedAsync(cancellationToken).ConfigureAwait(false), cancellationToken).ConfigureAwait(false);
    }

    private async Task SendAsync(AsyncDuplexStreamingCall<WorkerMessage, ChunkAck> call, Message message, CancellationToken cancellationToken)
    {
        _inFlight[message.Number] = message;
        await _writing.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            await call.RequestStream.WriteAsync(message.Chunk.ToMessage(message.Number), cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _writing.Release();
        }
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
                if (!message.WasReturned) _slots.Release();
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
