using DistributedPatterns.Deadlines.Engine;
using DistributedPatterns.Diagnostics;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Deadlines;

/// <summary>Runs operations in this process. What it adds to the contract: an operation that was not done had no answer that was lost.</summary>
public sealed class TaskBudgetedCalls : IBudgetedCalls, IDisposable
{
    private static readonly BudgetedCall s_once = new();

    private readonly OperationCatalog _catalog;
    private readonly OperationHost _host;
    private readonly BudgetRetries _retries;

    public TaskBudgetedCalls(OperationCatalog catalog, DeadlineRunner runner, IOptions<DeadlineOptions> options)
    {
        _catalog = catalog;
        _host = new OperationHost(Variants.Channel, "this process", options.Value.MaxRunning, runner, this);
        _retries = new BudgetRetries(runner.Time);
    }

    public async Task<TOut> CallAsync<TIn, TOut>(
        string operation, TIn input, Deadline deadline, BudgetedCall? call = null, CancellationToken cancellationToken = default)
    {
        var definition = _catalog.Get<TIn, TOut>(operation);
        var how = (call ?? s_once).Checked();
        var earliest = deadline.OrEarlier(AmbientDeadline.Current);
        return await _retries.RunAsync(
            how, earliest, attempt => _host.RunAsync(definition, input, earliest, attempt, new RunTokens(cancellationToken, how.Siblings)), cancellationToken).ConfigureAwait(false);
    }

    public ValueTask<IReadOnlyList<OperationLedger>> GetLedgersAsync(CancellationToken cancellationToken = default) => new([_host.Ledger]);

    /// <summary>Cancels what runs, as a shutdown.</summary>
    public void Dispose() => _host.Dispose();
}
