using System.Runtime.CompilerServices;
using DistributedPatterns.FanOutFanIn.Engine;
using DistributedPatterns.FanOutFanIn.Protocol;
using Google.Protobuf;
using Grpc.Core;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.FanOutFanIn;

/// <summary>A worker's part: runs branches for callers elsewhere, with the same engine that serves callers in this process.</summary>
/// <remarks>Reads no further while its loops are busy and the answers are not taken, so a slow caller or branch is felt at the sender.</remarks>
internal sealed class FanOutWorkerService(BranchCatalog catalog, FanOutWorkerHost worker) : FanOutWorker.FanOutWorkerBase
{
    public override async Task Run(IAsyncStreamReader<ToWorker> requestStream, IServerStreamWriter<Answers> responseStream, ServerCallContext context)
    {
        var stop = context.CancellationToken;
        if (!await requestStream.MoveNext(stop).ConfigureAwait(false) || requestStream.Current.Header is not { } header) throw Unexpected();
        var limit = header.ItemLimitTicks > 0 ? TimeSpan.FromTicks(header.ItemLimitTicks) : (TimeSpan?)null;
        IEncodedRun? run = null;
        try
        {
            run = catalog.Get(header.Branch).Open(ItemsAsync(stop), new EncodedRunSettings(Math.Clamp(header.Degree, 1, 1_024), limit, worker.Host));
            await run.RunAsync(answers => new ValueTask(responseStream.WriteAsync(ToMessage(answers), stop)), stop).ConfigureAwait(false);
        }
        catch (Exception error) when (error is UnknownBranchException or FormatException)
        {
            throw new RpcException(new Status(StatusCode.FailedPrecondition, error.Message));
        }
        catch (ScatterFullException full)
        {
            throw new RpcException(new Status(StatusCode.ResourceExhausted, full.Message)); // others may have room; the caller's pause grows
        }

        async IAsyncEnumerable<EncodedItems> ItemsAsync([EnumeratorCancellation] CancellationToken cancellationToken)
        {
            while (await requestStream.MoveNext(cancellationToken).ConfigureAwait(false))
            {
                var message = requestStream.Current;
                if (message.KindCase == ToWorker.KindOneofCase.Degree) run!.Degree = Math.Clamp(message.Degree, 1, 1_024);
                else if (message.Items is { Count: > 0 } items) yield return new EncodedItems(items.Count, items.Payload.Memory);
                else throw Unexpected();
            }
        }
    }

    private static Answers ToMessage(EncodedAnswers answers)
    {
        var message = new Answers
        {
            Count = answers.Count,
            // Nobody writes to them any more.
            Numbers = UnsafeByteOperations.UnsafeWrap(answers.Numbers),
            RunTicks = UnsafeByteOperations.UnsafeWrap(answers.RunTicks),
            Payload = UnsafeByteOperations.UnsafeWrap(answers.Payload),
        };
        foreach (var failure in answers.Failures)
            message.Failures.Add(new Failure { Number = failure.Number, RunTicks = failure.Run.Ticks, Reason = failure.Reason, TimedOut = failure.TimedOut });
        foreach (var stretch in answers.PassedOn) message.PassedOn.Add(new Passed { First = stretch.First, Count = stretch.Count });
        return message;
    }

    private static RpcException Unexpected() => new(new Status(StatusCode.InvalidArgument, "A stream is one header, then items and degrees."));
}

/// <summary>What the streams of one worker share.</summary>
internal sealed class FanOutWorkerHost(IOptions<GrpcScatterGatherOptions> options, TimeProvider time) : IAsyncDisposable
{
    /// <summary>Gets the host; it counts nothing, for the caller's does.</summary>
    public ScatterHost Host { get; } = new(variant: null, time, options.Value.Grace, options.Value.MaxOpen);

    public async ValueTask DisposeAsync() => await Host.WhenAllEndedAsync().ConfigureAwait(false);
}
