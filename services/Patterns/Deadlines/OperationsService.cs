using DistributedPatterns.Deadlines.Engine;
using DistributedPatterns.Deadlines.Protocol;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Members;
using Google.Protobuf;
using Grpc.Core;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Deadlines;

/// <summary>A service's part: runs operations for callers in other processes.</summary>
internal sealed class OperationsService(OperationCatalog catalog, OperationsServer server) : Operations.OperationsBase
{
    public override async Task<Answer> Run(Call request, ServerCallContext context)
    {
        try
        {
            var output = await catalog.Get(request.Operation)
                .RunAsync(server.Operations, request.Input.Memory, AmbientDeadline.Current, AmbientDeadline.Attempt, context.CancellationToken).ConfigureAwait(false);
            return new Answer { Output = UnsafeByteOperations.UnsafeWrap(output) };
        }
        catch (DeadlineExceededException error)
        {
            throw error.Started ? Failure(StatusCode.DeadlineExceeded, error.Message) : DeadlineServerInterceptor.NotBegun(error.Message);
        }
        catch (OperationCanceledException error)
        {
            throw Failure(StatusCode.Cancelled, error.Message);
        }
        catch (OperationUnavailableException error)
        {
            throw Failure(StatusCode.Unavailable, error.Operation == request.Operation ? error.Reason : error.Message);
        }
        catch (UnknownOperationException error)
        {
            throw Failure(StatusCode.FailedPrecondition, error.Message);
        }
        catch (FormatException error)
        {
            throw Failure(StatusCode.InvalidArgument, error.Message);
        }
        catch (OperationFailedException error)
        {
            throw Failure(StatusCode.Unknown, error.Operation == request.Operation ? error.Reason : error.Message);
        }
    }

    public override Task<Ledger> GetLedger(LedgerRequest request, ServerCallContext context)
    {
        var ledger = server.Operations.Ledger;
        return Task.FromResult(new Ledger
        {
            Asked = ledger.Asked,
            Refused = ledger.Refused,
            Done = ledger.Done,
            Failed = ledger.Failed,
            Caller = ledger.Caller,
            Deadline = ledger.Deadline,
            Shutdown = ledger.Shutdown,
            Sibling = ledger.Sibling,
            Running = ledger.Running,
            LeftBehind = ledger.LeftBehind,
        });
    }

    private static RpcException Failure(StatusCode code, string detail) => new(new Status(code, detail));
}

/// <summary>What the calls to one service process share. Stopping lets operations end within <see cref="DeadlineOptions.DrainLimit"/>, then cancels them.</summary>
internal sealed class OperationsServer(
    DeadlineRunner runner, GrpcBudgetedCalls calls, IOptions<MembersOptions> self, IOptions<DeadlineOptions> options) : IHostedLifecycleService, IDisposable
{
    public OperationHost Operations { get; } = new(Variants.Distributed, self.Value.Id, options.Value.MaxRunning, runner, calls);

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    // Before the server stops: that one waits for its calls to end by themselves, for longer than anybody wants.
    public Task StoppingAsync(CancellationToken cancellationToken) => Operations.StopAsync(options.Value.DrainLimit, cancellationToken);

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public void Dispose() => Operations.Dispose();
}
