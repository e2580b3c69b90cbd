using DistributedPatterns.SingleFlight;
using DistributedPatterns.Tests.Support;

namespace DistributedPatterns.Tests.SingleFlight;

/// <summary>A variant as tests see it: some processes that share flights, or one, and its time.</summary>
/// <param name="processes">One a process.</param>
/// <param name="passAsync">Lets time pass.</param>
internal sealed class FlightHost(IReadOnlyList<ISingleFlight> processes, Func<TimeSpan, Task> passAsync, Func<ValueTask>? dispose = null) : IAsyncDisposable
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(40);

    public int Count => processes.Count;

    public ISingleFlight this[int process] => processes[process % processes.Count];

    public Task PassAsync(TimeSpan time) => passAsync(time);

    public Task<FlightResult<string>> RunAsync(int process, string key, string input = "in", FlightCall call = default) =>
        RunUntilAsync(process, key, input, call, TestContext.Current.CancellationToken);

    /// <summary>Runs the work as a caller that may leave.</summary>
    public Task<FlightResult<string>> RunUntilAsync(int process, string key, string input, FlightCall call, CancellationToken leave) =>
        this[process].RunAsync<string, string>("text", key, input, call, leave).AsTask();

    /// <inheritdoc cref="RunUntilAsync(int, string, string, FlightCall, CancellationToken)"/>
    public Task<FlightResult<string>> RunUntilAsync(int process, string key, CancellationToken leave) => RunUntilAsync(process, key, "in", default, leave);

    /// <summary>Adds the processes' ledgers up.</summary>
    public FlightLedger Read() => processes.Select(process => process.GetLedger()).Aggregate((a, b) => new FlightLedger(
        a.Asked + b.Asked, a.Led + b.Led, a.Joined + b.Joined, a.Cached + b.Cached, a.Failed + b.Failed, a.Left + b.Left, a.TimedOut + b.TimedOut, a.Refused + b.Refused, a.Waiting + b.Waiting,
        a.Started + b.Started, a.Published + b.Published, a.Threw + b.Threw, a.Cancelled + b.Cancelled, a.Unpublished + b.Unpublished, a.Running + b.Running, a.Kept + b.Kept, a.NotKept + b.NotKept));

    public Task UntilAsync(Func<FlightLedger, bool> condition) => Eventually.TrueAsync(() => condition(Read()), s_limit, () => $"{Read()}");

    /// <summary>Waits until so many callers wait.</summary>
    public Task WaitingAsync(int callers) => UntilAsync(ledger => ledger.Waiting == callers);

    /// <summary>Checks that all calls and runs are accounted for in each process, and that none is left over.</summary>
    public async Task<FlightLedger> AtRestAsync()
    {
        await UntilAsync(ledger => ledger is { Waiting: 0, Running: 0 });
        foreach (var process in processes)
        {
            var ledger = process.GetLedger();
            Assert.Equal(ledger.Asked, ledger.Led + ledger.Joined + ledger.Cached + ledger.Failed + ledger.Left + ledger.TimedOut + ledger.Refused + ledger.Waiting);
            Assert.Equal(ledger.Started, ledger.Published + ledger.Threw + ledger.Cancelled + ledger.Unpublished + ledger.Running);
        }
        return Read();
    }

    public ValueTask DisposeAsync() => dispose?.Invoke() ?? default;
}
