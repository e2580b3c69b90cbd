using DistributedPatterns.Diagnostics;

namespace DistributedPatterns.Deadlines.Engine;

/// <summary>Runs operations in this process, for callers here and elsewhere, and keeps the ledger of how they ended.</summary>
/// <param name="calls">What operations go on with.</param>
internal sealed class OperationHost(string variant, string process, int maxRunning, DeadlineRunner runner, IBudgetedCalls calls) : IDisposable
{
    private readonly CancellationTokenSource _shutdown = new();
    private readonly long[] _ends = new long[(int)CancellationReason.Sibling + 1]; // by reason; None is done
    private long _asked;
    private long _refused;
    private long _failed;
    private long _running;

    public OperationLedger Ledger => new(
        process, Read(ref _asked), Read(ref _refused), Ended(CancellationReason.None), Read(ref _failed), Ended(CancellationReason.Caller), Ended(CancellationReason.Deadline),
        Ended(CancellationReason.Shutdown), Ended(CancellationReason.Sibling), Read(ref _running), runner.LeftBehind);

    public async ValueTask<TOut> RunAsync<TIn, TOut>(OperationDefinition<TIn, TOut> operation, TIn input, Deadline deadline, int attempt, RunTokens tokens)
    {
        Interlocked.Increment(ref _asked);
        AmbientDeadline.Enter(deadline, attempt);
        using var span = PatternsTelemetry.Source.StartActivity(operation.Name);
        var call = new Call<TIn, TOut>(this, operation, input, deadline, attempt);
        var reason = CancellationReason.None;
        try
        {
            var result = await runner.RunAsync($"Operation '{operation.Name}'", deadline, call, static (call, scope) => call.Host.Begin(call, scope), tokens with { Shutdown = _shutdown.Token })
                .ConfigureAwait(false);
            Count(operation.Name, ref _ends[(int)reason], "done");
            return result;
        }
        catch (DeadlineExceededException)
        {
            reason = CancellationReason.Deadline;
            throw;
        }
        catch (OperationCanceledException error) when (error.CancellationToken == tokens.Caller && tokens.Caller.IsCancellationRequested)
        {
            reason = CancellationReason.Caller;
            throw;
        }
        catch (OperationCanceledException) when (tokens.Siblings.IsCancellationRequested)
        {
            reason = CancellationReason.Sibling;
            throw;
        }
        catch (OperationUnavailableException) when (_shutdown.IsCancellationRequested)
        {
            reason = CancellationReason.Shutdown;
            throw;
        }
        catch (Exception error)
        {
            if (call.HasBegun) Count(operation.Name, ref _failed, "failed");
            if (error is BudgetedCallException) throw;
            throw new OperationFailedException(operation.Name, error.Message, error);
        }
        finally
        {
            if (!call.HasBegun)
            {
                Count(operation.Name, ref _refused, "refused");
            }
            else
            {
                // In this order: what runs no more is counted.
                if (reason != CancellationReason.None) Count(operation.Name, ref _ends[(int)reason], reason.ToString().ToLowerInvariant());
                Interlocked.Decrement(ref _running);
            }
        }
    }

    /// <summary>Lets what runs end within a limit, then cancels it as a shutdown.</summary>
    public async Task StopAsync(TimeSpan limit, CancellationToken cancellationToken)
    {
        using var end = new CancellationTokenSource(limit, runner.Time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(end.Token, cancellationToken);
        using var look = new PeriodicTimer(TimeSpan.FromMilliseconds(20), runner.Time);
        try
        {
            while (Read(ref _running) > 0) await look.WaitForNextTickAsync(both.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // They had their time.
        }
        await _shutdown.CancelAsync().ConfigureAwait(false);
    }

    public void Dispose() => _shutdown.Cancel();

    private void Count(string operation, ref long counter, string result)
    {
        Interlocked.Increment(ref counter);
        DeadlineTelemetry.Count(variant, operation, result);
    }

    private long Ended(CancellationReason reason) => Read(ref _ends[(int)reason]);

    private static long Read(ref long counter) => Interlocked.Read(ref counter);

    private ValueTask<TOut> Begin<TIn, TOut>(Call<TIn, TOut> call, RunScope scope)
    {
        if (Interlocked.Increment(ref _running) > maxRunning)
        {
            Interlocked.Decrement(ref _running);
            throw new OperationUnavailableException(call.Operation.Name, $"{maxRunning:N0} of {maxRunning:N0} operations are running; MaxRunning raises that");
        }
        call.HasBegun = true;
        DeadlineTelemetry.RecordRemaining(variant, call.Operation.Name, call.Deadline.Remaining);
        return call.Operation.Run(call.Input, new OperationContext(calls, call.Deadline, call.Attempt, process, scope));
    }

    private sealed record Call<TIn, TOut>(OperationHost Host, OperationDefinition<TIn, TOut> Operation, TIn Input, Deadline Deadline, int Attempt)
    {
        public bool HasBegun { get; set; }
    }
}
