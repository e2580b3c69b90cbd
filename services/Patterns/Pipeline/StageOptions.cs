namespace DistributedPatterns.Pipeline;

/// <summary>How one stage runs.</summary>
public sealed class StageOptions
{
    /// <summary>Gets or sets how many items may wait in front of the stage.</summary>
    /// <value>From 1 to 1,000,000; 4,096 unless set. Across processes the window of messages under way is the bound instead.</value>
    public int Capacity { get; set; } = 4096;

    /// <summary>Gets or sets how many items the stage handles at the same time, in each process that runs it.</summary>
    /// <value>From 1 to 1,024; 1 unless set.</value>
    public int Degree { get; set; } = 1;

    /// <summary>Gets or sets whether a stage of degree above 1 hands its results on in the order of its input.</summary>
    /// <value><see langword="true"/> unless set. One unordered stage makes the whole pipeline unordered.</value>
    public bool Ordered { get; set; } = true;

    /// <summary>Gets or sets what happens to an item whose last attempt threw.</summary>
    public ItemErrorPolicy OnError { get; set; }

    /// <summary>Gets or sets how often an item is tried in all before <see cref="OnError"/> applies.</summary>
    /// <value>From 1 (no retry) to 100; 1 unless set.</value>
    public int MaxAttempts { get; set; } = 1;

    /// <summary>Gets or sets the delay before the second attempt; it doubles from there, with jitter, up to 30 seconds.</summary>
    /// <value>From 0 to 30 seconds; 100 milliseconds unless set.</value>
    public TimeSpan RetryDelay { get; set; } = TimeSpan.FromMilliseconds(100);

    internal void Validate(string stage)
    {
        Check(Capacity is >= 1 and <= 1_000_000, nameof(Capacity), Capacity, "1 to 1,000,000");
        Check(Degree is >= 1 and <= 1024, nameof(Degree), Degree, "1 to 1,024");
        Check(MaxAttempts is >= 1 and <= 100, nameof(MaxAttempts), MaxAttempts, "1 to 100");
        Check(RetryDelay >= TimeSpan.Zero && RetryDelay <= TimeSpan.FromSeconds(30), nameof(RetryDelay), RetryDelay, "0 to 30 s");

        void Check(bool ok, string option, object value, string accepted)
        {
            if (!ok) throw new ArgumentOutOfRangeException(option, value, $"Stage '{stage}': {option} takes {accepted}.");
        }
    }
}

/// <summary>What happens to an item that a stage could not handle.</summary>
public enum ItemErrorPolicy
{
    /// <summary>The run fails with the error.</summary>
    Stop,

    /// <summary>The item is left out and counted.</summary>
    Skip,

    /// <summary>The item is set aside, counted, and reported with its number, stage and reason.</summary>
    Divert,
}
