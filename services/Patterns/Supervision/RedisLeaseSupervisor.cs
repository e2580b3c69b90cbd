using System.Globalization;
using DistributedPatterns.Supervision.Engine;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace DistributedPatterns.Supervision;

/// <summary>The supervisor over all processes: who runs which child, since which epoch, and how many restarts are left, is in Redis.</summary>
/// <remarks>
/// This is where the children are watched and told; they run in processes that have <see cref="RedisChildRunner"/>. A process keeps a child under a
/// lease. The children of one that died or froze run in another one within <see cref="RedisLeaseSupervisorOptions.Lease"/> and
/// <see cref="RedisLeaseSupervisorOptions.PollEvery"/>, and then the pause of the policy: a dead process is one failure, however many children it had.
/// <para>A frozen process that comes back may still run a child that was taken over, for as long as it takes to learn of that. Only the new epoch can write:
/// the epoch is checked in the step that writes. What a child does elsewhere has no such fence unless that place compares <see cref="ChildContext.Epoch"/>.</para>
/// <para>A process that ends as it should hands its children back, which is no failure. Children move to a process that has been there for a lease, one at a
/// time, until all have their share.</para>
/// </remarks>
public sealed class RedisLeaseSupervisor : ISupervisor
{
    private const int ChildFields = 9;

    private readonly RedisSupervisorScript _script;
    private readonly ChildCatalog _catalog;
    private readonly RedisLeaseSupervisorOptions _options;

    internal RedisLeaseSupervisor(RedisSupervisorScript script, ChildCatalog catalog, IOptions<RedisLeaseSupervisorOptions> options) =>
        (_script, _catalog, _options) = (script, catalog, options.Value);

    /// <inheritdoc/>
    public async ValueTask<SupervisionTree> GetTreeAsync(CancellationToken cancellationToken = default)
    {
        var reply = await _script.CallAsync("tree", cancellationToken).ConfigureAwait(false);
        var (escalated, spent) = ((string?)reply[1] is { Length: > 0 } reason ? reason : null, (int)reply[2]);
        var counts = reply[3..13].Select(count => (long)count).ToArray(); // fenced escalations restarts, then the ledger with running last
        return new SupervisionTree(
            RedisSupervisorScript.StrategyOf(reply[0]), escalated, new(_options.MaxRestarts, _options.Within, spent, Math.Max(0, _options.MaxRestarts - spent)),
            [.. _catalog.All.Select((child, i) => ReadChild(child, reply.AsSpan(13 + (i * ChildFields), ChildFields), escalated is not null))],
            new(counts[3], counts[9], counts[4], counts[5], counts[6], counts[7], counts[8]), new(counts[2], counts[1], counts[0], NotStopped: 0));
    }

    /// <inheritdoc/>
    public async ValueTask<long> SignalAsync(string child, ChildSignal signal, CancellationToken cancellationToken = default)
    {
        _catalog.PlaceOf(child);
        var reply = await _script.CallAsync("signal", cancellationToken, child, signal.ToString(), Guid.NewGuid().ToString("N")).ConfigureAwait(false);
        switch ((int)reply[0])
        {
            case 1:
                await _script.RingAsync().ConfigureAwait(false);
                return (long)reply[1];
            case 0:
                throw new ChildNotRunningException(child, StateOf((string)reply[1]!, startsIn: 0, isEscalated: false));
            default:
                throw new SupervisorEscalatedException((string)reply[1]!);
        }
    }

    /// <inheritdoc/>
    public async ValueTask SetStrategyAsync(SupervisionStrategy strategy, CancellationToken cancellationToken = default)
    {
        if (!Enum.IsDefined(strategy)) throw new ArgumentOutOfRangeException(nameof(strategy), strategy, null);
        await _script.CallAsync("strategy", cancellationToken, RedisSupervisorScript.NameOf(strategy)).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public async ValueTask ResetAsync(CancellationToken cancellationToken = default)
    {
        await _script.CallAsync("reset", cancellationToken).ConfigureAwait(false);
        await _script.RingAsync().ConfigureAwait(false);
    }

    private static ChildStatus ReadChild(ChildDefinition child, ReadOnlySpan<RedisResult> reply, bool isEscalated)
    {
        var (lease, startsIn) = (Number(reply[4]), Number(reply[5]));
        var state = StateOf((string)reply[2]!, startsIn, isEscalated);
        var isHeld = state is ChildState.Starting or ChildState.Running or ChildState.Stopping;
        return new ChildStatus(
            child.Name, state, child.Options.Restart, Number(reply[1]), isHeld ? (string)reply[3]! : null, Number(reply[6]),
            state == ChildState.BackingOff ? TimeSpan.FromMilliseconds(startsIn) : null, isHeld ? TimeSpan.FromMilliseconds(lease) : null,
            (string?)reply[7] is { Length: > 0 } reason ? reason : null, RedisSupervisorScript.ValueOf((RedisValue)reply[8]));

        static long Number(RedisResult value) => long.Parse((string)value!, CultureInfo.InvariantCulture);
    }

    private static ChildState StateOf(string state, long startsIn, bool isEscalated) => state switch
    {
        "S" => ChildState.Starting,
        "R" => ChildState.Running,
        "T" => ChildState.Stopping,
        "X" => ChildState.Exited,
        _ when isEscalated => ChildState.Stopped,
        "B" when startsIn > 0 => ChildState.BackingOff,
        _ => ChildState.Waiting,
    };
}
