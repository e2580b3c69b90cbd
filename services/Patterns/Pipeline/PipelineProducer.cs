using System.Collections.Concurrent;
using DistributedPatterns.Members;
using DistributedPatterns.Redis;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace DistributedPatterns.Pipeline;

/// <summary>A producer's part: takes runs that nobody drives, drives them, and keeps their leases.</summary>
/// <remarks>One task renews all leases; the runs' own work never does, so a busy run cannot lose its lease.</remarks>
internal sealed partial class PipelineProducer : BackgroundService
{
    private static readonly TimeSpan s_pollAtMost = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_renewEvery = TimeSpan.FromMilliseconds(250);

    private readonly ConcurrentDictionary<string, PipelineRunDriver> _driven = [];
    private readonly RedisRunStore _store;
    private readonly RedisDoorbell _doorbell;
    private readonly Func<ClaimedRun, PipelineRunDriver> _newDriver;
    private readonly GrpcPipelineOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger<PipelineProducer> _logger;

    public PipelineProducer(
        IConnectionMultiplexer redis, PipelineCatalog catalog, IMembers members, IMemberChannels channels,
        IOptions<GrpcPipelineOptions> options, TimeProvider time, ILogger<PipelineProducer> logger)
    {
        _store = new RedisRunStore(redis, options);
        _doorbell = new RedisDoorbell(redis, _store.BellChannel, time);
        _newDriver = run => new PipelineRunDriver(run, catalog, _store, options.Value, members, channels, time, logger);
        _options = options.Value;
        _time = time;
        _logger = logger;
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var renewing = RenewAsync(stoppingToken);
        await ClaimAsync(stoppingToken).ConfigureAwait(false);
        await renewing.ConfigureAwait(false);

        // A stopping producer hands its runs over at once instead of letting the leases run out.
        await Task.WhenAll(_driven.Values.Select(driver => driver.HandOverAsync())).ConfigureAwait(false);
    }

    private async Task ClaimAsync(CancellationToken stopping)
    {
        using var bell = _doorbell.Listen(RedisRunStore.OpenBell);
        while (!stopping.IsCancellationRequested)
        {
            ClaimedRun? run = null;
            if (_driven.Count < _options.MaxRunsPerProducer)
            {
                try
                {
                    run = await _store.ClaimAsync().ConfigureAwait(false);
                }
                catch (Exception error) when (error is RedisException or TimeoutException)
                {
                    LogRedisAway(error.Message);
                }
            }
            if (run is null)
            {
                await bell.WaitAsync(s_pollAtMost, stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                continue;
            }

            var driver = _newDriver(run);
            _driven[run.Id] = driver;
            driver.Start(() =>
            {
                _driven.TryRemove(new(run.Id, driver));
                bell.Ring(); // there is room for another one
            });
        }
    }

    private async Task RenewAsync(CancellationToken stopping)
    {
        using var timer = new PeriodicTimer(s_renewEvery, _time);
        try
        {
            while (await timer.WaitForNextTickAsync(stopping).ConfigureAwait(false))
                await Task.WhenAll(_driven.Values.Select(driver => driver.RenewAsync())).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // Stopping.
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Redis cannot be reached, so no run can be taken: {Reason}")]
    private partial void LogRedisAway(string reason);
}
