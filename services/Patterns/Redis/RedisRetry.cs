using StackExchange.Redis;

namespace DistributedPatterns.Redis;

/// <summary>Repeats a call while Redis is away, with growing pauses. Only for calls that are safe to repeat.</summary>
public sealed class RedisRetry(TimeProvider clock)
{
    private static readonly TimeSpan s_firstPause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan s_longestPause = TimeSpan.FromSeconds(2);
    private static readonly string[] s_passing = ["LOADING", "BUSY", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "READONLY", "OOM"];

    /// <summary>Returns whether an error may be gone by the next try. Whether the call was executed it does not say.</summary>
    public static bool IsOutage(Exception error) => error switch
    {
        RedisServerException => s_passing.Any(start => error.Message.StartsWith(start, StringComparison.Ordinal)),
        RedisException or TimeoutException => true,
        _ => false,
    };

    /// <summary>Calls until it succeeds, fails for good, or <paramref name="budget"/> has passed since <paramref name="since"/>; then the last error surfaces.</summary>
    /// <param name="call">Sends the same request each time.</param>
    /// <param name="budget"><see cref="Timeout.InfiniteTimeSpan"/> for as long as the token allows.</param>
    /// <param name="since">A timestamp of the clock.</param>
    /// <param name="cancellationToken">Ends the pauses; a call under way is waited for, since it may have been executed.</param>
    public async Task<T> RunAsync<T>(Func<Task<T>> call, TimeSpan budget, long since, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(call);
        for (var pause = s_firstPause; ; pause = pause * 2 < s_longestPause ? pause * 2 : s_longestPause)
        {
            try
            {
                return await call().ConfigureAwait(false);
            }
            catch (Exception e) when (IsOutage(e) && (budget == Timeout.InfiniteTimeSpan || clock.GetElapsedTime(since) + pause < budget))
            {
                await Task.Delay(pause * (0.5 + (Random.Shared.NextDouble() / 2)), clock, cancellationToken).ConfigureAwait(false);
            }
        }
    }
}
