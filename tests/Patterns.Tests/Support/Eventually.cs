using System.Diagnostics;

namespace DistributedPatterns.Tests.Support;

/// <summary>Waits for what other processes do, with a limit; never a sleep of a fixed length.</summary>
public static class Eventually
{
    /// <summary>Asks again every few milliseconds until the answer is yes.</summary>
    public static async Task TrueAsync(Func<Task<bool>> condition, TimeSpan limit, Func<string> otherwise)
    {
        var clock = Stopwatch.StartNew();
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(20), TimeProvider.System);
        // What was held up for longer than the limit looks once more.
        for (var isLate = false; !await condition(); isLate = clock.Elapsed > limit)
        {
            if (isLate)
                Assert.Fail($"Not within {limit}: {otherwise()}");
            await timer.WaitForNextTickAsync(TestContext.Current.CancellationToken);
        }
    }

    public static Task TrueAsync(Func<bool> condition, TimeSpan limit, Func<string> otherwise) =>
        TrueAsync(() => Task.FromResult(condition()), limit, otherwise);

    /// <summary>Watches that something stays true for a while.</summary>
    public static async Task StaysTrueAsync(Func<bool> condition, TimeSpan time, Func<string> otherwise)
    {
        var clock = Stopwatch.StartNew();
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(20), TimeProvider.System);
        while (clock.Elapsed < time)
        {
            if (!condition())
                Assert.Fail($"No longer true after {clock.Elapsed}: {otherwise()}");
            await timer.WaitForNextTickAsync(TestContext.Current.CancellationToken);
        }
    }
}
