using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using StackExchange.Redis;

namespace DistributedPatterns.Redis;

/// <summary>Refuses a Redis whose scripts interleave: every pattern across processes rests on a script being one step.</summary>
/// <remarks>
/// Runs once, when the service starts. Garnet gives atomic scripts only with <c>--lua-transaction-mode</c>, which cannot be
/// read back, so two connections count together, round by round, and nothing may be lost. A server that fails ends the process with
/// exit code 1; one that cannot be reached is tried again for ever. It sees only what overlaps while it counts: on a busy machine a
/// server without atomic scripts can pass by chance, though hardly at the start of every service.
/// </remarks>
public sealed partial class AtomicityProbe(
    IConnectionMultiplexer redis, IHostApplicationLifetime application, TimeProvider clock, ILogger<AtomicityProbe> logger)
    : BackgroundService, IHealthCheck
{
    private const int Rounds = 100;
    private const int Connections = 2;

    private static readonly RedisScript s_script = RedisScript.Load("Redis/probe_atomic.lua");
    private static readonly TimeSpan s_firstPause = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan s_longestPause = TimeSpan.FromSeconds(5);

    private readonly TaskCompletionSource _passed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Gets a task that ends once the server has passed. It stays open while Redis is away, and after a failure.</summary>
    public Task Passed => _passed.Task;

    /// <summary>Counts on two connections at the same time.</summary>
    /// <exception cref="NotAtomicException">Increments were lost.</exception>
    /// <exception cref="RedisException">The server cannot be reached, or refused the script.</exception>
    public static async Task CheckAsync(IConnectionMultiplexer redis)
    {
        ArgumentNullException.ThrowIfNull(redis);
        // One multiplexer is one connection, and one connection's commands never overlap.
        var other = await ConnectionMultiplexer.ConnectAsync(redis.Configuration).ConfigureAwait(false);
        await using (other.ConfigureAwait(false))
        {
            RedisKey key = $"{{probe:{Guid.NewGuid():N}}}";
            // One call a round on each, not all at once: a busy server takes what a connection has sent in one go, one connection after the other.
            for (var round = 0; round < Rounds; round++)
                await Task.WhenAll(s_script.EvaluateAsync(redis.GetDatabase(), [key]), s_script.EvaluateAsync(other.GetDatabase(), [key])).ConfigureAwait(false);
            var counted = (int)await redis.GetDatabase().StringGetAsync(key).ConfigureAwait(false);
            if (counted != Connections * Rounds)
                throw new NotAtomicException(counted, Connections * Rounds);
        }
    }

    /// <summary>Says whether the server has passed: a service that may yet be ended over it is not ready.</summary>
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(Passed.IsCompleted ? HealthCheckResult.Healthy() : HealthCheckResult.Unhealthy("It is not known yet whether Redis runs scripts as one step."));

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        for (var pause = s_firstPause; !stoppingToken.IsCancellationRequested; pause = pause * 2 < s_longestPause ? pause * 2 : s_longestPause)
        {
            try
            {
                await CheckAsync(redis).WaitAsync(stoppingToken).ConfigureAwait(false);
                _passed.TrySetResult();
                return;
            }
            catch (NotAtomicException e)
            {
                LogRefused(e.Message);
                Environment.ExitCode = 1;
                application.ApplicationStarted.Register(application.StopApplication); // a host that is stopped while it starts throws
                return;
            }
            catch (Exception e) when (e is RedisException or TimeoutException)
            {
                LogWaiting(pause, e.Message);
            }
            await Task.Delay(pause, clock, stoppingToken).ConfigureAwait(false);
        }
    }

    [LoggerMessage(LogLevel.Critical, "{Reason}")]
    private partial void LogRefused(string reason);

    [LoggerMessage(LogLevel.Warning, "Redis cannot be probed yet, next try in {Pause}: {Reason}")]
    private partial void LogWaiting(TimeSpan pause, string reason);
}
