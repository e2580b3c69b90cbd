using DistributedPatterns.Diagnostics;
using DistributedPatterns.Redis;
using DistributedPatterns.SingleFlight.Engine;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace DistributedPatterns.SingleFlight;

/// <summary>Singleflight over all processes: one of them leads, by a lease in Redis, and publishes the outcome for the others.</summary>
/// <remarks>
/// In each process a flight of its own stands in front, so that a process asks Redis once for all its callers: to join, to publish or to fetch, and to ring.
/// <list type="bullet">
/// <item>A leader that dies is replaced once its lease is over, by a process that waits and runs the work anew; nobody waits longer than lease and work.</item>
/// <item>A leader that was replaced while it was frozen is refused when it publishes, and its callers get the outcome of its successor.</item>
/// <item>When the last caller leaves, in whatever process, the run is cancelled; when it was not the leader's, the leader hears by the doorbell or at its next renewal.</item>
/// <item>After <see cref="ISingleFlight.ForgetAsync"/> no outcome of an earlier run is published; a process that had just fetched one may still hand it to those who joined its flight.</item>
/// <item>While Redis is away a run goes on until its lease is over.</item>
/// </list>
/// </remarks>
public sealed partial class RedisSingleFlight : ISingleFlight, IFlightPilot, IAsyncDisposable
{
    private readonly FlightTable _table;
    private readonly RedisFlightScript _script;
    private readonly RedisSingleFlightOptions _options;
    private readonly ILogger<RedisSingleFlight> _logger;

    public RedisSingleFlight(
        IConnectionMultiplexer redis, FlightCatalog catalog, IOptions<RedisSingleFlightOptions> options, TimeProvider time, ILogger<RedisSingleFlight> logger)
    {
        (_options, _logger) = (options.Value, logger);
        _script = new RedisFlightScript(redis, _options, time);
        _table = new FlightTable(catalog, _options, maxKept: 0, this, time, Variants.Distributed);
    }

    bool IFlightPilot.KeepsResults => false;

    /// <inheritdoc/>
    public ValueTask<FlightResult<TOut>> RunAsync<TIn, TOut>(string work, string key, TIn input, FlightCall call = default, CancellationToken cancellationToken = default) =>
        _table.Find<TIn, TOut>(work).RunAsync(FlightKey.Checked(key), input, call.Checked(), cancellationToken);

    /// <inheritdoc/>
    public async ValueTask ForgetAsync(string work, string key, CancellationToken cancellationToken = default)
    {
        var group = _table.Find(work);
        var place = _script.PlaceOf(work, FlightKey.Checked(key));
        group.Forget(key); // callers that come after this ask Redis anew
        try
        {
            await _script.InsistAsync(place, "forget", "-", cancellationToken).ConfigureAwait(false);
        }
        catch (Exception error) when (RedisRetry.IsOutage(error))
        {
            throw new FlightUnavailableException(work, key, error);
        }
        await _script.RingAsync(place).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public FlightLedger GetLedger() => _table.Read();

    Task<Landing<TOut>> IFlightPilot.FlyAsync<TIn, TOut>(FlightOrder<TIn, TOut> order) =>
        new RedisFlight<TIn, TOut>(order, _script, _options, _table).FlyAsync();

    /// <summary>Takes no more calls, lets flights end within <see cref="SingleFlightOptions.DrainLimit"/>, cancels the rest and gives their leases back.</summary>
    public async ValueTask DisposeAsync()
    {
        if (await _table.StopAsync().ConfigureAwait(false) is > 0 and var left) LogLeftBehind(left);
        await _script.DisposeAsync().ConfigureAwait(false);
    }

    [LoggerMessage(LogLevel.Warning, "{Runs} runs were cancelled and have not ended; none of them can publish any more")]
    private partial void LogLeftBehind(long runs);
}
