namespace DistributedPatterns.FanOutFanIn;

/// <summary>One input's answer: who gave it, at which attempt, after how long.</summary>
public readonly struct BranchResult<TOut>
{
    private readonly TOut _value;

    internal BranchResult(long index, TOut value, BranchException? error, string worker, int attempt, TimeSpan wait, TimeSpan run)
    {
        _value = value;
        (Index, Error, Worker, Attempt, Wait, Run) = (index, error, worker, attempt, wait, run);
    }

    /// <summary>Gets the input's place among the inputs, from 0.</summary>
    public long Index { get; }

    /// <summary>Gets what the branch made of the input.</summary>
    /// <exception cref="BranchException">The item failed.</exception>
    public TOut Value => Error is null ? _value : throw Error;

    /// <summary>Gets the item's error, or <see langword="null"/> when it is done.</summary>
    public BranchException? Error { get; }

    /// <summary>Gets who ran it: a loop of this process, or a member's id.</summary>
    public string Worker { get; }

    /// <summary>Gets which attempt gave the answer: 1, or more when workers were lost.</summary>
    public int Attempt { get; }

    /// <summary>Gets how long the item waited from being read until it ran; across processes that includes the way there and back.</summary>
    public TimeSpan Wait { get; }

    /// <summary>Gets how long the branch's code took.</summary>
    public TimeSpan Run { get; }
}

/// <summary>All results in the order of the inputs.</summary>
public sealed record Gathered<TOut>(IReadOnlyList<BranchResult<TOut>> Results, GatherReport Report)
{
    /// <summary>Gets the values of the items that are done, in the order of the inputs.</summary>
    public IEnumerable<TOut> Values => Results.Where(result => result.Error is null).Select(result => result.Value);

    /// <summary>Gets the items that failed, in the order of the inputs.</summary>
    public IEnumerable<BranchResult<TOut>> Failed => Results.Where(result => result.Error is not null);
}

/// <summary>The first success among candidates.</summary>
/// <param name="Result">Its index says which candidate won.</param>
/// <param name="Report">Candidates that lost, or were never asked, count as missing.</param>
/// <param name="Started">How many candidates were asked.</param>
/// <param name="HedgeDelay">How long a candidate had before the next one was asked; zero when all were asked together.</param>
public sealed record FirstAnswer<TOut>(BranchResult<TOut> Result, GatherReport Report, int Started, TimeSpan HedgeDelay);

/// <summary>What was asked and what came of it: asked = done + failed + missing once it has ended.</summary>
public sealed record GatherReport
{
    public string Branch { get; init; } = "";

    /// <summary>Gets how many inputs there are; of a sequence, how many were read.</summary>
    public long Asked { get; init; }

    public long Done { get; init; }

    public long Failed { get; init; }

    /// <summary>Gets how many inputs have no answer: still on their way, or given up.</summary>
    public long Missing => Asked - Done - Failed;

    /// <summary>Gets which inputs have no answer, in order; empty until the end.</summary>
    public IReadOnlyList<MissingInputs> MissingInputs { get; init; } = [];

    /// <summary>Gets how many answers took more than one attempt.</summary>
    public long Retried { get; init; }

    /// <summary>Gets how many pieces of branch code ignored their cancellation and were left behind.</summary>
    public int Abandoned { get; init; }

    /// <summary>Gets who answered how many, most first.</summary>
    public IReadOnlyList<WorkerShare> Workers { get; init; } = [];

    /// <summary>Gets the median of the answers' run times, to some 6 %.</summary>
    public TimeSpan Median { get; init; }

    /// <summary>Gets the longest run time.</summary>
    public TimeSpan Slowest { get; init; }

    /// <summary>Gets how much longer the slowest answer took than the median one: what waiting for everybody costs. 0 without answers.</summary>
    public double StragglerRatio => Median > TimeSpan.Zero ? Slowest / Median : 0;

    public TimeSpan Elapsed { get; init; }
}

/// <summary>What became of everything that one instance was asked: asked = done + failed + missing, over the gatherings that have ended.</summary>
/// <remarks>Each candidate of <see cref="IScatterGather.FirstAsync"/> that was asked is a gathering of its own; a loser is missing.</remarks>
public sealed record ScatterStats
{
    /// <summary>Gets how many gatherings run now.</summary>
    public int Open { get; init; }

    public long Ended { get; init; }

    public long Asked { get; init; }

    public long Done { get; init; }

    public long Failed { get; init; }

    public long Missing { get; init; }

    /// <summary>Gets how many answers took more than one attempt.</summary>
    public long Retried { get; init; }

    /// <summary>Gets how many branches ever ignored their cancellation.</summary>
    public long Abandoned { get; init; }

    /// <summary>Gets how many gatherings have such a branch that runs still.</summary>
    public int StillAbandoned { get; init; }

    internal ScatterStats With(GatherReport report) => this with
    {
        Ended = Ended + 1,
        Asked = Asked + report.Asked,
        Done = Done + report.Done,
        Failed = Failed + report.Failed,
        Missing = Missing + report.Missing,
        Retried = Retried + report.Retried,
        Abandoned = Abandoned + report.Abandoned,
    };
}

/// <summary>A stretch of inputs without an answer.</summary>
/// <param name="First">The first one's place among the inputs, from 0.</param>
/// <param name="Count">How many follow each other, the first included.</param>
public readonly record struct MissingInputs(long First, long Count)
{
    /// <summary>Leaves one input out.</summary>
    internal IEnumerable<MissingInputs> Without(long index) => index < First || index >= First + Count
        ? [this]
        : [new(First, index - First), new(index + 1, First + Count - index - 1)];

    /// <summary>Sorts stretches and joins those that follow each other.</summary>
    internal static IReadOnlyList<MissingInputs> Join(List<MissingInputs> stretches)
    {
        stretches.Sort(static (a, b) => a.First.CompareTo(b.First));
        var joined = new List<MissingInputs>();
        foreach (var next in stretches)
        {
            if (next.Count == 0) continue;
            if (joined.Count > 0 && joined[^1] is var last && last.First + last.Count == next.First) joined[^1] = last with { Count = last.Count + next.Count };
            else joined.Add(next);
        }
        return joined;
    }
}

/// <summary>What one worker did.</summary>
/// <param name="Worker">A loop of this process, or a member's id.</param>
/// <param name="Answered">How many of the answers are its.</param>
/// <param name="Run">How long the branch's code ran for them.</param>
public sealed record WorkerShare(string Worker, long Answered, TimeSpan Run);
