using System.Runtime.ExceptionServices;

namespace DistributedPatterns.Deadlines;

/// <summary>What is made of single calls.</summary>
public static class BudgetedCallsExtensions
{
    /// <summary>Runs an operation for several inputs at the same time, under one deadline. The first real error cancels the others and is thrown; they have ended by then.</summary>
    /// <returns>The answers, in the order of the inputs.</returns>
    public static async Task<TOut[]> CallAllAsync<TIn, TOut>(
        this IBudgetedCalls calls, string operation, IReadOnlyList<TIn> inputs, Deadline deadline, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(calls);
        ArgumentNullException.ThrowIfNull(inputs);
        using var siblings = new CancellationTokenSource();
        var call = new BudgetedCall { Siblings = siblings.Token };
        Exception? first = null;
        var running = inputs.Select(CallAsync).ToList();
        await ((Task)Task.WhenAll(running)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (first is not null) ExceptionDispatchInfo.Throw(first);
        return await Task.WhenAll(running).ConfigureAwait(false);

        async Task<TOut> CallAsync(TIn input)
        {
            try
            {
                return await calls.CallAsync<TIn, TOut>(operation, input, deadline, call, cancellationToken).ConfigureAwait(false);
            }
            catch (Exception error)
            {
                if (Interlocked.CompareExchange(ref first, error, null) is null) await siblings.CancelAsync().ConfigureAwait(false);
                throw;
            }
        }
    }
}
