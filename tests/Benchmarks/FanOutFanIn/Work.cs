namespace DistributedPatterns.Benchmarks.FanOutFanIn;

/// <summary>The work that all contenders do for an item: arithmetic that takes a chosen time on this machine, and an answer that can be checked.</summary>
internal sealed class Work
{
    private readonly int _turns;

    private Work(int turns) => _turns = turns;

    /// <summary>Gets how many turns the work of an item is.</summary>
    public int Turns => _turns;

    /// <summary>Finds out how many turns take a time here. The same number serves all contenders, so only ratios depend on it.</summary>
    public static Work Of(TimeSpan each)
    {
        var fastest = TimeSpan.MaxValue;
        const int Turns = 200_000;
        for (var attempt = 0; attempt < 20; attempt++)
        {
            var since = System.Diagnostics.Stopwatch.GetTimestamp();
            new Work(Turns).Do(attempt);
            var took = System.Diagnostics.Stopwatch.GetElapsedTime(since);
            if (took < fastest) fastest = took;
        }
        return new Work((int)Math.Max(1, Turns * (each / fastest)));
    }

    public long Do(int item) => Do(item, _turns);

    public static long Do(int item, int turns)
    {
        var x = (ulong)(uint)item | 1;
        for (var i = 0; i < turns; i++) x = (x * 6364136223846793005UL) + 1442695040888963407UL;
        return (long)(x >> 33);
    }

    public long Expected(int count)
    {
        var sum = 0L;
        for (var i = 0; i < count; i++) sum += Do(i);
        return sum;
    }
}
