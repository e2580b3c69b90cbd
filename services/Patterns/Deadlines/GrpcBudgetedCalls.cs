using System.Collections.Concurrent;
using DistributedPatterns.Deadlines.Engine;
using DistributedPatterns.Deadlines.Protocol;
using DistributedPatterns.Members;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Core.Interceptors;

namespace DistributedPatterns.Deadlines;

/// <summary>Runs each operation in a living member of its service, over gRPC.</summary>
/// <remarks>
/// What it adds to the contract:
/// <list type="bullet">
/// <item>What is left of the budget travels as the call's deadline, relative: clocks need not agree. Each callee gets a little less than its caller has.</item>
/// <item>A caller that leaves is heard at the last hop as fast as the connections carry it. A caller that dies is one that leaves.</item>
/// <item>While no member of the service is there, the call waits for the first one, inside its budget.</item>
/// <item>The caller hears at its deadline even from a frozen callee. An operation without an answer may have run, or be running.</item>
/// </list>
/// </remarks>
public sealed class GrpcBudgetedCalls(OperationCatalog catalog, DeadlineRunner runner, IMembers members, IMemberChannels channels) : IBudgetedCalls
{
    private static readonly BudgetedCall s_once = new();
    private static readonly TimeSpan s_ledgerLimit = TimeSpan.FromSeconds(1);

    private readonly BudgetRetries _retries = new(runner.Time);
    private readonly DeadlineClientInterceptor _interceptor = new(runner.Time);
    private readonly ConcurrentDictionary<string, Operations.OperationsClient> _clients = new(StringComparer.Ordinal);

    public async Task<TOut> CallAsync<TIn, TOut>(
        string operation, TIn input, Deadline deadline, BudgetedCall? call = null, CancellationToken cancellationToken = default)
    {
        var definition = catalog.Get<TIn, TOut>(operation);
        var how = (call ?? s_once).Checked();
        var request = new Call { Operation = operation, Input = UnsafeByteOperations.UnsafeWrap(definition.Encode(input)) };
        var earliest = deadline.OrEarlier(AmbientDeadline.Current);
        var answer = await _retries.RunAsync(how, earliest, attempt => AttemptAsync(definition, request, earliest, attempt, new RunTokens(cancellationToken, how.Siblings)), cancellationToken)
            .ConfigureAwait(false);
        return definition.DecodeAnswer(answer.Output.Span);
    }

    /// <summary>Asks every living member of the operations' services; one that does not answer within a second is left out.</summary>
    public async ValueTask<IReadOnlyList<OperationLedger>> GetLedgersAsync(CancellationToken cancellationToken = default)
    {
        var asked = catalog.All.Select(operation => operation.Role).Distinct(StringComparer.Ordinal).SelectMany(members.Live)
            .Where(member => member.Grpc is not null).Select(member => AskAsync(member, cancellationToken)).ToList();
        return [.. (await Task.WhenAll(asked).ConfigureAwait(false)).OfType<OperationLedger>()];
    }

    private async ValueTask<Answer> AttemptAsync(OperationDefinition operation, Call request, Deadline deadline, int attempt, RunTokens tokens)
    {
        AmbientDeadline.Enter(deadline, attempt); // the interceptor's
        var client = _clients.GetOrAdd(operation.Role, role => new Operations.OperationsClient(channels.To(role).Intercept(_interceptor)));
        return await runner.RunAsync($"Operation '{operation.Name}'", deadline, (client, request, deadline), static async (call, scope) =>
        {
            try
            {
                return await call.client.RunAsync(call.request, cancellationToken: scope.Token).ConfigureAwait(false);
            }
            catch (RpcException error)
            {
                throw Translate(error, call.request.Operation, call.deadline, scope.Token);
            }
        }, tokens).ConfigureAwait(false);
    }

    private static Exception Translate(RpcException error, string operation, Deadline deadline, CancellationToken token) => error.StatusCode switch
    {
        _ when token.IsCancellationRequested => new OperationCanceledException(error.Message, error, token), // the runner knows who it was
        StatusCode.DeadlineExceeded => new DeadlineExceededException(
            $"Operation '{operation}'", deadline.Budget, error.Trailers.GetValue(DeadlineServerInterceptor.BegunTrailer) != "no", error),
        StatusCode.Unavailable => new OperationUnavailableException(operation, error.Status.Detail, error),
        StatusCode.FailedPrecondition => new UnknownOperationException(error.Status.Detail),
        _ => new OperationFailedException(operation, error.Status.Detail, error),
    };

    private async Task<OperationLedger?> AskAsync(Member member, CancellationToken cancellationToken)
    {
        try
        {
            var client = new Operations.OperationsClient(channels.To(member));
            var ledger = await client.GetLedgerAsync(new LedgerRequest(), deadline: runner.Time.GetUtcNow().UtcDateTime + s_ledgerLimit, cancellationToken: cancellationToken)
                .ConfigureAwait(false);
            return new OperationLedger(member.Id, ledger.Asked, ledger.Refused, ledger.Done, ledger.Failed, ledger.Caller, ledger.Deadline, ledger.Shutdown, ledger.Sibling,
                ledger.Running, ledger.LeftBehind);
        }
        catch (RpcException) when (!cancellationToken.IsCancellationRequested)
        {
            return null;
        }
    }
}
