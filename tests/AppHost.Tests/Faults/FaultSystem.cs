using System.Globalization;

namespace DistributedPatterns.Tests.Faults;

/// <summary>The whole system with short leases, and with a Redis that has on disk what it acknowledged.</summary>
public sealed class FaultSystem : RunningSystem
{
    /// <summary>How long a member, a job's worker and a holder of permits have before they count as dead.</summary>
    public static readonly TimeSpan Lease = TimeSpan.FromSeconds(3);

    protected override IReadOnlyDictionary<string, string> Settings { get; } = new Dictionary<string, string>
    {
        // Without it a killed Redis loses the last moments of what it acknowledged, and the ledgers would have nothing exact to show.
        ["Redis__CommitWait"] = "true",
        ["Patterns__WorkerPool__Redis__Lease"] = Lease.ToString("c", CultureInfo.InvariantCulture),
        ["Patterns__ProducerConsumer__feeds__Lease"] = Lease.ToString("c", CultureInfo.InvariantCulture),
        ["Patterns__ProducerConsumer__feed-records__Lease"] = Lease.ToString("c", CultureInfo.InvariantCulture),
        ["Patterns__MapReduce__Redis__Lease"] = Lease.ToString("c", CultureInfo.InvariantCulture),
        ["Patterns__RateLimiting__Redis__Lease"] = Lease.ToString("c", CultureInfo.InvariantCulture),
        // A busy test machine is no outage; a connection that breaks is one at once.
        ["Patterns__RateLimiting__Redis__AnswerLimit"] = "00:00:03",
        ["Logging__LogLevel__Default"] = "Warning",
    };
}
