using System.Runtime.CompilerServices;

namespace DistributedPatterns.FanOutFanIn;

/// <summary>How inputs are fanned out and results gathered.</summary>
public sealed class ScatterOptions<TIn>
{
    /// <summary>Gets or sets how many items may run at the same time.</summary>
    /// <value>From 1 to 1,024; unless set, one a processor here, or across processes <see cref="GrpcScatterGatherOptions.DegreePerWorker"/> for each worker.</value>
    public int? Degree { get; set; }

    /// <summary>Gets or sets in which order results come.</summary>
    /// <value><see cref="GatherOrder.AsCompleted"/> unless set.</value>
    public GatherOrder Order { get; set; }

    /// <summary>Gets or sets what an item's error means for the others.</summary>
    /// <value><see cref="BranchErrorPolicy.Stop"/> unless set.</value>
    public BranchErrorPolicy OnError { get; set; }

    /// <summary>Gets or sets how long the whole may take, from the start of the enumeration.</summary>
    /// <value>From 1 millisecond to 1 day; no deadline unless set.</value>
    public TimeSpan? Deadline { get; set; }

    /// <summary>Gets or sets what the deadline means for results that are there by then.</summary>
    /// <value><see cref="DeadlinePolicy.Fail"/> unless set.</value>
    public DeadlinePolicy AtDeadline { get; set; }

    /// <summary>Gets or sets how long one item may take before it counts as failed with a <see cref="BranchTimeoutException"/>.</summary>
    /// <value>From 1 millisecond to 1 day; no limit unless set.</value>
    /// <remarks>The branch's token is cancelled then. Code that ignores it keeps its place until it returns.</remarks>
    public TimeSpan? ItemLimit { get; set; }

    /// <summary>Gets or sets how many inputs may be read ahead of the results that the caller has taken.</summary>
    /// <value>From 1 to 1,048,576; 4,096 unless set. Less than the degree leaves places empty.</value>
    public int Capacity { get; set; } = 4_096;

    /// <summary>Gets or sets what gives items of one key a lane: they run in the order of the inputs, one at a time.</summary>
    /// <value>No lanes unless set; an item whose key is <see langword="null"/> has none.</value>
    /// <remarks>Results follow <see cref="Order"/>. Across processes a frozen worker may still run an item that was sent to another one.</remarks>
    public Func<TIn, string?>? Key { get; set; }

    internal ScatterOptions<TIn> Checked()
    {
        ScatterRanges.Degree(Degree ?? 1, nameof(Degree));
        ScatterRanges.Time(Deadline, nameof(Deadline));
        ScatterRanges.Time(ItemLimit, nameof(ItemLimit));
        if (Capacity is < 1 or > 1_048_576) throw new ArgumentOutOfRangeException(nameof(Capacity), Capacity, "Capacity is from 1 to 1,048,576 items.");
        return (ScatterOptions<TIn>)MemberwiseClone(); // the caller may change its own
    }
}

/// <summary>How the first of several candidates is asked for.</summary>
public sealed class FirstOptions
{
    /// <summary>Gets or sets when the next candidate is asked.</summary>
    /// <value><see cref="FirstStart.Hedged"/> unless set.</value>
    public FirstStart Start { get; set; } = FirstStart.Hedged;

    /// <summary>Gets or sets how long to wait for a candidate while too little is known of the branch to tell what is slow.</summary>
    /// <value>From 1 millisecond to 1 day; 100 milliseconds unless set.</value>
    /// <remarks>Once 20 answers of the branch were seen in this process, their 95th percentile takes its place.</remarks>
    public TimeSpan FirstDelay { get; set; } = TimeSpan.FromMilliseconds(100);

    /// <summary>Gets or sets how long the whole may take.</summary>
    /// <value>From 1 millisecond to 1 day; no deadline unless set.</value>
    public TimeSpan? Deadline { get; set; }

    internal void Check()
    {
        ScatterRanges.Time(FirstDelay, nameof(FirstDelay));
        ScatterRanges.Time(Deadline, nameof(Deadline));
    }
}

/// <summary>In which order results come.</summary>
public enum GatherOrder
{
    /// <summary>Each as soon as its item is done.</summary>
    AsCompleted,

    /// <summary>In the order of the inputs; a slow item holds back those behind it, and the capacity bounds how many.</summary>
    AsAsked,
}

/// <summary>What an item's error means for the others.</summary>
public enum BranchErrorPolicy
{
    /// <summary>The first error cancels everything and is thrown.</summary>
    Stop,

    /// <summary>An error is that item's result, and the others go on.</summary>
    Collect,
}

/// <summary>What the deadline means for results that are there by then.</summary>
public enum DeadlinePolicy
{
    /// <summary>Late is failed: a <see cref="ScatterDeadlineException"/> is thrown.</summary>
    Fail,

    /// <summary>What is there is the answer; the enumeration ends and the report names what is missing.</summary>
    Partial,
}

/// <summary>When the next candidate is asked.</summary>
public enum FirstStart
{
    /// <summary>When the one before has failed, or takes longer than 95 of 100 earlier answers did.</summary>
    Hedged,

    /// <summary>All candidates are asked at once: fastest and dearest.</summary>
    Together,
}

internal static class ScatterRanges
{
    private static readonly TimeSpan s_shortest = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan s_longest = TimeSpan.FromDays(1);

    public static int Degree(int value, [CallerArgumentExpression(nameof(value))] string name = "") =>
        value is >= 1 and <= 1_024 ? value : throw new ArgumentOutOfRangeException(name, value, "A degree is from 1 to 1,024.");

    // Polly hedges at most ten times.
    public static void Candidates(int count)
    {
        if (count is < 1 or > 11) throw new ArgumentOutOfRangeException(nameof(count), count, "There are from 1 to 11 candidates.");
    }

    public static void Time(TimeSpan? value, string name)
    {
        if (value < s_shortest || value > s_longest) throw new ArgumentOutOfRangeException(name, value, $"{name} is from {s_shortest} to {s_longest}.");
    }
}
