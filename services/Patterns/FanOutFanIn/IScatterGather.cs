namespace DistributedPatterns.FanOutFanIn;

/// <summary>Fans inputs out over a branch, code that is registered by name, and gathers the results.</summary>
/// <remarks>
/// What both variants keep:
/// <list type="bullet">
/// <item>Every input is answered exactly once, by a result or by an error; what is not is named as missing. At the end
/// asked = done + failed + missing (<see cref="GatherReport"/>).</item>
/// <item>Bounded: at most <see cref="ScatterOptions{TIn}.Degree"/> items run at a time, and at most
/// <see cref="ScatterOptions{TIn}.Capacity"/> are read ahead of what the caller has taken.</item>
/// <item>A result is there for the caller when its item is done; no slow item holds another one's back, unless the caller
/// asks for the order of the inputs.</item>
/// <item>Nothing runs on: when the gathering ends, however it ends, the branches that still run are cancelled and waited for.
/// One that ignores its token for longer than the variant's <c>Grace</c> is abandoned: its result is dropped, it is counted,
/// and disposing of the variant gives it as long once more.</item>
/// <item>The error that surfaces is the first real one. Cancellations that follow from it are not errors.</item>
/// </list>
/// <para><see cref="ChannelScatterGather"/> runs each item once. <see cref="GrpcScatterGather"/> survives the death of a
/// worker by sending what it had not answered to another one: a branch may see an item more than once, also twice at a time,
/// and should give the same answer each time.</para>
/// <para>All members are safe for concurrent use.</para>
/// </remarks>
public interface IScatterGather
{
    /// <summary>Gets what became of everything that this instance was asked.</summary>
    ScatterStats Stats { get; }

    /// <summary>Prepares to fan a list out. It starts when the result is enumerated, and is cancelled when the enumeration is left.</summary>
    /// <typeparam name="TIn">What the branch takes; as registered.</typeparam>
    /// <typeparam name="TOut">What the branch gives; as registered.</typeparam>
    /// <param name="branch">The name under which the branch was registered.</param>
    /// <param name="inputs">Not changed by anybody until the enumeration has ended.</param>
    /// <param name="options">Degree, order, what an error and a deadline mean.</param>
    /// <exception cref="UnknownBranchException">No branch of that name, or of these types, is registered.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range.</exception>
    IGather<TOut> Scatter<TIn, TOut>(string branch, IReadOnlyList<TIn> inputs, ScatterOptions<TIn>? options = null);

    /// <summary>Prepares to fan out a sequence whose items come one by one; it is read no further ahead than the capacity allows.</summary>
    /// <remarks>An error of the sequence itself ends the gathering and is thrown as it is.</remarks>
    /// <inheritdoc cref="Scatter{TIn, TOut}(string, IReadOnlyList{TIn}, ScatterOptions{TIn}?)"/>
    IGather<TOut> Scatter<TIn, TOut>(string branch, IAsyncEnumerable<TIn> inputs, ScatterOptions<TIn>? options = null);

    /// <summary>Asks several candidates and returns the first success; the losers are cancelled and have stopped when it returns.</summary>
    /// <param name="branch">The name under which the branch was registered.</param>
    /// <param name="candidates">1 to 11 inputs, best first; the same input several times asks several workers the same.</param>
    /// <param name="options">All at once, or the next one only when the one before is slow; the deadline.</param>
    /// <param name="cancellationToken">Cancels all candidates.</param>
    /// <exception cref="UnknownBranchException">No branch of that name, or of these types, is registered.</exception>
    /// <exception cref="BranchException">Every candidate failed; the exception is the last one's.</exception>
    /// <exception cref="ScatterDeadlineException">Nobody had answered at the deadline.</exception>
    Task<FirstAnswer<TOut>> FirstAsync<TIn, TOut>(
        string branch, IReadOnlyList<TIn> candidates, FirstOptions? options = null, CancellationToken cancellationToken = default);
}

/// <summary>Results on their way in. To be enumerated once.</summary>
/// <remarks>
/// Enumerating throws, besides what the inputs throw:
/// <see cref="BranchException"/>: an item failed and <see cref="BranchErrorPolicy.Stop"/> is set;
/// <see cref="ScatterDeadlineException"/>: the deadline has passed and <see cref="DeadlinePolicy.Fail"/> is set;
/// <see cref="ScatterFullException"/>: as many gatherings as allowed are open;
/// <see cref="NoWorkerException"/>: nobody was there to do the work (across processes only);
/// <see cref="OperationCanceledException"/> with the enumeration's token: the caller cancelled.
/// </remarks>
public interface IGather<TOut> : IAsyncEnumerable<BranchResult<TOut>>
{
    /// <summary>Gets or sets how many items may run at the same time, also while it runs.</summary>
    /// <value>From 1 to 1,024. A lower value holds as soon as the items that run have ended.</value>
    int Degree { get; set; }

    /// <summary>Gets how far it is, or, once the enumeration has ended, what came of it.</summary>
    GatherReport Report { get; }
}

/// <summary>Gathers everything before it returns.</summary>
public static class GatherExtensions
{
    /// <summary>Waits for all results and returns them in the order of the inputs.</summary>
    /// <remarks>Throws what the enumeration throws. Failed items are among the results with <see cref="BranchErrorPolicy.Collect"/>.</remarks>
    public static async Task<Gathered<TOut>> WholeAsync<TOut>(this IGather<TOut> gather, CancellationToken cancellationToken = default)
    {
        var results = new List<BranchResult<TOut>>();
        await foreach (var result in gather.WithCancellation(cancellationToken).ConfigureAwait(false)) results.Add(result);
        results.Sort(static (a, b) => a.Index.CompareTo(b.Index));
        return new Gathered<TOut>(results, gather.Report);
    }
}
