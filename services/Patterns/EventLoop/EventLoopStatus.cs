namespace DistributedPatterns.EventLoop;

/// <summary>All partitions, each read in one go.</summary>
public sealed record EventLoopStatus(IReadOnlyList<PartitionStatus> Partitions)
{
    public EventLedger Ledger => Partitions.Aggregate(new EventLedger(), (sum, one) => new(
        sum.Accepted + one.Ledger.Accepted, sum.Applied + one.Ledger.Applied, sum.Dead + one.Ledger.Dead, sum.Waiting + one.Ledger.Waiting));

    public EventCounters Counters => Partitions.Aggregate(new EventCounters(), (sum, one) => new(
        sum.Duplicates + one.Counters.Duplicates, sum.Refused + one.Counters.Refused, sum.Fenced + one.Counters.Fenced,
        sum.TimerTurns + one.Counters.TimerTurns, sum.SlowTurns + one.Counters.SlowTurns));
}

/// <summary>One partition.</summary>
/// <param name="Epoch">Rises with each owner.</param>
/// <param name="Owner">The process that handles its events, or <see langword="null"/> when nobody does at present.</param>
/// <param name="LeaseLeft">How long the owner has it without a sign of life; <see langword="null"/> in process.</param>
/// <param name="Lag">In process how long the last event that was looked at waited for its turn; across processes how long the next one has waited so far.</param>
/// <param name="SlowestTurn">The longest turn so far above the limit, with its handler's name.</param>
/// <param name="LastError">The last handler's error, with the key.</param>
public sealed record PartitionStatus(
    int Partition, long Epoch, string? Owner, TimeSpan? LeaseLeft, int Keys, TimeSpan Lag, SlowTurn? SlowestTurn, string? LastError, EventLedger Ledger, EventCounters Counters);

/// <summary>A turn that held its loop up.</summary>
public sealed record SlowTurn(string Handler, TimeSpan Took);

/// <summary>What has become of all posted events: accepted = applied + dead + waiting.</summary>
/// <param name="Applied">Handled, and its state kept.</param>
/// <param name="Dead">Its handler failed in every attempt.</param>
/// <param name="Waiting">Not handled yet, or being handled.</param>
public readonly record struct EventLedger(long Accepted, long Applied, long Dead, long Waiting)
{
    public bool AddsUp => Accepted == Applied + Dead + Waiting;
}

/// <summary>What happened beside the ledger.</summary>
/// <param name="Duplicates">Posts that had been taken on before.</param>
/// <param name="Refused">Posts, or tries of waiting ones, that found no room.</param>
/// <param name="Fenced">Writes of owners that were replaced, and posts for an epoch that was over.</param>
/// <param name="TimerTurns">Turns of timers.</param>
/// <param name="SlowTurns">Turns above the limit.</param>
public readonly record struct EventCounters(long Duplicates, long Refused, long Fenced, long TimerTurns, long SlowTurns);
