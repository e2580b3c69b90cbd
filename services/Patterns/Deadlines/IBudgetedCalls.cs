namespace DistributedPatterns.Deadlines;

/// <summary>Calls operations by name under one deadline, which goes along with every further call that they make.</summary>
/// <remarks>
/// What both variants keep:
/// <list type="bullet">
/// <item>A budget is spent once: attempts, nested calls and parts of a whole share one moment. Who is called can shorten it, never lengthen it.</item>
/// <item>An operation whose deadline has passed is not begun (<see cref="DeadlineExceededException.Started"/>).</item>
/// <item>The caller hears at the deadline, at the latest <see cref="DeadlineOptions.Grace"/> after it, whatever the operation does.
/// One that ignores its token is left behind and counted until it ends.</item>
/// <item>Caller, deadline, shutdown and failed sibling are told apart: by exception here, by <see cref="OperationContext.Reason"/> in the operation.</item>
/// <item>Attempts are made inside the budget only, and only after <see cref="OperationUnavailableException"/>. The outermost call retries; calls made by
/// operations do not unless they say so, for retries on two layers multiply.</item>
/// </list>
/// <para><see cref="TaskBudgetedCalls"/> runs operations in this process. <see cref="GrpcBudgetedCalls"/> runs each in a living member of its service: what it
/// adds is that the other side may be away, may be slow to hear, and that an operation whose answer was lost may have run.</para>
/// </remarks>
public interface IBudgetedCalls
{
    /// <summary>Runs an operation until it ends, at the latest until the deadline.</summary>
    /// <exception cref="DeadlineExceededException">The budget was spent.</exception>
    /// <exception cref="OperationCanceledException">The caller's token, or that of its siblings, was cancelled.</exception>
    /// <exception cref="OperationUnavailableException">After the last attempt that was allowed, or that the budget had room for.</exception>
    /// <exception cref="OperationFailedException">Its code threw.</exception>
    /// <exception cref="UnknownOperationException">There is none of that name and those types.</exception>
    Task<TOut> CallAsync<TIn, TOut>(string operation, TIn input, Deadline deadline, BudgetedCall? call = null, CancellationToken cancellationToken = default);

    /// <summary>Reads what became of the operations, for each process that can be asked.</summary>
    ValueTask<IReadOnlyList<OperationLedger>> GetLedgersAsync(CancellationToken cancellationToken = default);
}

/// <summary>How a call is made.</summary>
public sealed record BudgetedCall
{
    /// <summary>Gets how often the operation is tried in all.</summary>
    /// <value>From 1 (no retry) to 10; 1 unless set.</value>
    public int MaxAttempts { get; init; } = 1;

    /// <summary>Gets the middle of the delay before the second attempt; it doubles from there and is jittered.</summary>
    /// <value>From 1 millisecond to 10 seconds; 20 milliseconds unless set. An attempt that would begin after the deadline is not made.</value>
    public TimeSpan RetryDelay { get; init; } = TimeSpan.FromMilliseconds(20);

    /// <summary>Gets the token of the other parts of the same whole: cancelled when one of them fails.</summary>
    internal CancellationToken Siblings { get; init; }

    internal BudgetedCall Checked()
    {
        if (MaxAttempts is < 1 or > 10) throw new ArgumentOutOfRangeException(nameof(MaxAttempts), MaxAttempts, "MaxAttempts takes 1 to 10.");
        if (RetryDelay < TimeSpan.FromMilliseconds(1) || RetryDelay > TimeSpan.FromSeconds(10))
            throw new ArgumentOutOfRangeException(nameof(RetryDelay), RetryDelay, "RetryDelay takes 1 ms to 10 s.");
        return this;
    }
}

/// <summary>What became of the operations of one process: asked = refused + done + failed + caller + deadline + shutdown + sibling + running, at rest.</summary>
/// <param name="Process">The member, or the process' own name.</param>
/// <param name="Refused">Not begun: the deadline had passed, or the caller had left.</param>
/// <param name="Failed">Their code threw, unavailable ones included.</param>
/// <param name="Caller">Cancelled because the caller left; across processes also because its sibling failed.</param>
/// <param name="LeftBehind">How many of the ended run on, because they ignored their cancellation.</param>
public sealed record OperationLedger(
    string Process, long Asked, long Refused, long Done, long Failed, long Caller, long Deadline, long Shutdown, long Sibling, long Running, int LeftBehind);
