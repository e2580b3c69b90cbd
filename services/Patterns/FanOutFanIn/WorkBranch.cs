using DistributedPatterns.Payloads;
using DistributedPatterns.Scenarios;

namespace DistributedPatterns.FanOutFanIn;

/// <summary>The branch <c>work</c>: simulated work, for load tests. It answers with its item's number, so the answers of n items add up to n(n − 1) / 2.</summary>
public static class WorkBranch
{
    public const string Name = "work";

    /// <summary>Describes the branch.</summary>
    public static BranchDefinition<WorkItem, long> Create(TimeProvider time) => new(
        Name, PayloadCodec.Packed<WorkItem>(), PayloadCodec.Packed<long>(), (item, cancellationToken) =>
        {
            if (item.Number == item.FailingNumber) return ValueTask.FromException<long>(new InvalidOperationException($"Item {item.Number} was asked to fail."));
            return item.Work.Kind == WorkKind.None ? new(item.Number) : WorkAsync(item, time, cancellationToken);
        });

    private static async ValueTask<long> WorkAsync(WorkItem item, TimeProvider time, CancellationToken cancellationToken)
    {
        await item.Work.RunAsync(time, cancellationToken).ConfigureAwait(false);
        return item.Number;
    }
}

/// <summary>An item of simulated work.</summary>
/// <param name="Number">Its place, from 0.</param>
/// <param name="FailingNumber">Which item fails, to show an error's way; below 0 for none.</param>
public readonly record struct WorkItem(int Number, int FailingNumber, SimulatedWork Work);
