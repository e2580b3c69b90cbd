using DistributedPatterns.Diagnostics;
using DistributedPatterns.SingleFlight.Engine;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.SingleFlight;

/// <summary>Singleflight inside one process: callers of a key wait for one task.</summary>
/// <remarks>
/// A work runs once at a time for sure; nothing survives the process. After <see cref="ISingleFlight.ForgetAsync"/> those who waited get the result of their
/// own run, which is not kept. A kept result needs no lock to be read, and goes at its time, by a timer.
/// </remarks>
public sealed partial class TaskSingleFlight : ISingleFlight, IFlightPilot, IAsyncDisposable
{
    private readonly FlightTable _table;
    private readonly ILogger<TaskSingleFlight> _logger;
    private long _fence;

    public TaskSingleFlight(FlightCatalog catalog, IOptions<TaskSingleFlightOptions> options, TimeProvider time, ILogger<TaskSingleFlight> logger)
    {
        _table = new FlightTable(catalog, options.Value, options.Value.MaxKept, this, time, Variants.Channel);
        _logger = logger;
    }

    bool IFlightPilot.KeepsResults => true;

    /// <inheritdoc/>
    public ValueTask<FlightResult<TOut>> RunAsync<TIn, TOut>(string work, string key, TIn input, FlightCall call = default, CancellationToken cancellationToken = default) =>
        _table.Find<TIn, TOut>(work).RunAsync(FlightKey.Checked(key), input, call.Checked(), cancellationToken);

    /// <inheritdoc/>
    public ValueTask ForgetAsync(string work, string key, CancellationToken cancellationToken = default)
    {
        _table.Find(work).Forget(FlightKey.Checked(key));
        return default;
    }

    /// <inheritdoc/>
    public FlightLedger GetLedger() => _table.Read();

    async Task<Landing<TOut>> IFlightPilot.FlyAsync<TIn, TOut>(FlightOrder<TIn, TOut> order)
    {
        using var span = SingleFlightTelemetry.Lead(Variants.Channel, order.Work.Name, order.Parent);
        var fence = Interlocked.Increment(ref _fence);
        _table.CountStart();
        var outcome = await order.Work.RunAsync(order.Input, new FlightContext(order.Key, fence, order.Gone)).ConfigureAwait(false);
        _table.CountEnd(order.Work.Name, order.Gone.IsCancellationRequested ? RunEnd.Cancelled : outcome.Error is null ? RunEnd.Published : RunEnd.Threw);
        return outcome.Error is { } error
            ? Landing<TOut>.Failed(role => order.Failed(role, error), FlightRole.Led)
            : Landing<TOut>.Of(outcome.Value!, FlightRole.Led, fence, isShared: false);
    }

    /// <summary>Takes no more calls, lets flights end within <see cref="SingleFlightOptions.DrainLimit"/>, and cancels the rest.</summary>
    public async ValueTask DisposeAsync()
    {
        if (await _table.StopAsync().ConfigureAwait(false) is > 0 and var left) LogLeftBehind(left);
    }

    [LoggerMessage(LogLevel.Warning, "{Runs} runs were cancelled and have not ended")]
    private partial void LogLeftBehind(long runs);
}
