using DistributedPatterns.RateLimiting;

namespace DistributedPatterns.Tests.RateLimiting;

/// <summary>What a test asks for: permits earned in a period, and how many at once.</summary>
internal sealed record LimitSpec(int Permits, TimeSpan Period, int Burst, int QueueLimit = 0)
{
    /// <summary>Four at once, and nothing new while a test runs.</summary>
    public static LimitSpec Slow { get; } = new(4, TimeSpan.FromMinutes(10), 4, 100);

    /// <summary>Four at once, one each 50 ms.</summary>
    public static LimitSpec Fast { get; } = new(20, TimeSpan.FromSeconds(1), 4, 100);

    public RateLimitRule Rule => new() { Permits = Permits, Period = Period, Burst = Burst };

    public BucketOptions Bucket => new() { Permits = Permits, Period = Period, Burst = Burst, QueueLimit = QueueLimit };

    /// <summary>Gets the same limit as a window: the burst is the window's permits.</summary>
    public WindowOptions Window => new() { Permits = Burst, Window = Period * Burst / Permits, QueueLimit = QueueLimit };
}

/// <summary>A limiter under test with the clock that it goes by.</summary>
internal sealed class LimiterHost(
    MeteredRateLimiter limiter, Func<TimeSpan, Task> pass, Func<ValueTask<TimeSpan>> now, Func<TimeSpan, double> mostIn, Func<ValueTask>? dispose = null) : IAsyncDisposable
{
    public MeteredRateLimiter Limiter => limiter;

    /// <summary>Lets time pass on the limiter's clock: at least so much.</summary>
    public Task PassAsync(TimeSpan time) => pass(time);

    /// <summary>Reads the limiter's own clock.</summary>
    public ValueTask<TimeSpan> NowAsync() => now();

    /// <summary>Gets how many permits may be admitted in a time at most.</summary>
    public double MostIn(TimeSpan time) => mostIn(time);

    public async ValueTask DisposeAsync()
    {
        await limiter.DisposeAsync();
        if (dispose is not null) await dispose();
    }
}

/// <summary>The theoretical bounds.</summary>
internal static class Bounds
{
    public static Func<TimeSpan, double> Gcra(LimitSpec spec) => time => spec.Burst + (spec.Permits * (time / spec.Period));

    public static Func<TimeSpan, double> TokenBucket(LimitSpec spec) => time => spec.Burst + (spec.Permits * Math.Ceiling(time / spec.Period));

    public static Func<TimeSpan, double> WindowLog(LimitSpec spec) => time => spec.Burst * (Math.Floor(time / spec.Window.Window) + 1);

    public static Func<TimeSpan, double> WindowCounter(LimitSpec spec) => time => spec.Burst * (Math.Floor(time / spec.Window.Window) + 2);
}
