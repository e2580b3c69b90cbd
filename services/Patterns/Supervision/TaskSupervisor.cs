using System.Threading.Channels;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Supervision.Engine;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Supervision;

/// <summary>The supervisor inside one process: children are tasks, and what they keep is memory.</summary>
/// <remarks>
/// One loop makes all decisions, so failures that come together are dealt with one after the other. A task cannot be killed: a hung child
/// that ignores its token is replaced, runs on, can write nothing, and is counted (<see cref="SupervisionCounters.NotStopped"/>) until it ends.
/// <para>Supervisors nest: <see cref="RunAsync"/> fails when this one gives up, so it can be the body of a child of another one.</para>
/// </remarks>
public sealed partial class TaskSupervisor : ISupervisor
{
    // How long it takes, at the least, until a sign of life is looked for again: a limit that is met exactly must not spin.
    private static readonly TimeSpan s_shortestLook = TimeSpan.FromMilliseconds(1);

    private readonly TaskSupervisorOptions _options;
    private readonly ChildCatalog _catalog;
    private readonly TimeProvider _time;
    private readonly Lock _gate = new();
    private readonly SupervisedChild[] _children;
    private readonly List<ChildRun> _replaced = [];
    private readonly RestartBudget _budget;
    private readonly IChildStore _store;
    private readonly Channel<bool> _changed = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private SupervisionStrategy _strategy;
    private SupervisionLedger _ledger = new(0, 0, 0, 0, 0, 0, 0);
    private SupervisionCounters _counters = new(0, 0, 0, 0);
    private TaskCompletionSource _reset = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile string? _escalated; // why it gave up
    private long _epoch;
    private bool _isRunning;
    private bool _isRevived; // somebody reset it while it stopped its children

    public TaskSupervisor(ChildCatalog catalog, IOptions<TaskSupervisorOptions> options, TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(options);
        (_catalog, _options, _time) = (catalog, options.Value, time);
        _children = [.. catalog.All.Select(child => new SupervisedChild(child, _options, time))];
        _budget = new RestartBudget(_options, time);
        _store = new Store(this);
        _strategy = _options.Strategy;
    }

    /// <summary>Starts the children and keeps them running until the token is cancelled; then stops them in reverse order, each within its limit.</summary>
    /// <returns>What stopped, and what did not.</returns>
    /// <exception cref="SupervisorEscalatedException">Restarts did not help. The children are stopped. It can run again, with a full budget.</exception>
    /// <exception cref="InvalidOperationException">It runs already.</exception>
    public async Task<StopReport> RunAsync(CancellationToken stop)
    {
        Begin();
        StopReport report;
        string? reason;
        try
        {
            while (!stop.IsCancellationRequested && _escalated is null)
            {
                foreach (var child in _children) await LookAtAsync(child).ConfigureAwait(false);
                var next = StartWhatIsDue();
                await WaitAsync(next, stop).ConfigureAwait(false);
            }
        }
        finally
        {
            reason = _escalated;
            report = await StopAllAsync().ConfigureAwait(false);
        }
        return reason is null ? report : throw new SupervisorEscalatedException(reason, report);
    }

    /// <summary>Returns once the supervisor has not given up, or has been reset after it had.</summary>
    public Task WhenResetAsync(CancellationToken cancellationToken)
    {
        lock (_gate) return _escalated is null ? Task.CompletedTask : _reset.Task.WaitAsync(cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask<SupervisionTree> GetTreeAsync(CancellationToken cancellationToken = default)
    {
        lock (_gate)
        {
            _replaced.RemoveAll(run => run.End is not null);
            return new(new SupervisionTree(
                _strategy, _escalated, new(_options.MaxRestarts, _options.Within, _budget.Spent, _budget.Left),
                [.. _children.Select(child => new ChildStatus(
                    child.Definition.Name, child.State, child.Definition.Options.Restart, child.Epoch, child.Run is null ? null : _options.Name,
                    child.Restarts, child.StartsIn, null, child.Reason, child.Value))],
                _ledger, _counters with { NotStopped = _replaced.Count }));
        }
    }

    /// <inheritdoc/>
    public ValueTask<long> SignalAsync(string child, ChildSignal signal, CancellationToken cancellationToken = default)
    {
        var place = _catalog.PlaceOf(child);
        lock (_gate)
        {
            if (_escalated is { } reason) throw new SupervisorEscalatedException(reason);
            if (_children[place] is not { State: ChildState.Running or ChildState.Starting, Run: { End: null } run }) throw new ChildNotRunningException(child, _children[place].State);
            run.Signal(signal);
            return new(run.Epoch);
        }
    }

    /// <inheritdoc/>
    public ValueTask SetStrategyAsync(SupervisionStrategy strategy, CancellationToken cancellationToken = default)
    {
        if (!Enum.IsDefined(strategy)) throw new ArgumentOutOfRangeException(nameof(strategy), strategy, null);
        lock (_gate) _strategy = strategy;
        return default;
    }

    /// <inheritdoc/>
    public ValueTask ResetAsync(CancellationToken cancellationToken = default)
    {
        lock (_gate)
        {
            _budget.Reset();
            foreach (var child in _children) child.Backoff.Reset();
            if (_escalated is null) return default;
            // The run that gave up is not over while it stops its children; whoever waits for the reset begins the next one after it.
            if (_isRunning) _isRevived = true;
            else Revive();
        }
        return default;
    }

    private void Begin()
    {
        lock (_gate)
        {
            if (_isRunning) throw new InvalidOperationException("The supervisor runs already.");
            _isRunning = true;
            if (_escalated is not null) Revive();
            foreach (var child in _children) (child.State, child.Due, child.IsFirst) = (ChildState.Waiting, 0, true);
        }
    }

    private void Revive()
    {
        _escalated = null;
        _isRevived = false;
        _budget.Reset();
        _reset.TrySetResult();
        _reset = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    /// <summary>Starts those whose pause is over and whose turn it is.</summary>
    /// <returns>How long until there is something to look at, or <see langword="null"/> when only a change can bring that.</returns>
    private TimeSpan? StartWhatIsDue()
    {
        TimeSpan? next = null;
        lock (_gate)
        {
            if (_escalated is not null) return TimeSpan.Zero;
            var isHeld = false; // one before it is not up yet
            foreach (var child in _children)
            {
                var mustWait = isHeld && (_strategy != SupervisionStrategy.OneForOne || child.IsFirst);
                if (child.IsWaiting && !mustWait)
                {
                    if (child.Left == TimeSpan.Zero) Start(child);
                    else Sooner(child.Left);
                }
                if (child.Run?.HeartbeatLeft is { } left) Sooner(left > s_shortestLook ? left : s_shortestLook);
                isHeld |= child.IsOnItsWay;
            }
        }
        return next;

        void Sooner(TimeSpan time) => next = next is { } other && other < time ? other : time;
    }

    private void Start(SupervisedChild child)
    {
        (child.Epoch, child.IsFirst) = (++_epoch, false);
        child.Run = new ChildRun(child.Definition, _options.Name, child.Epoch, _store, _time, () => _changed.Writer.TryWrite(true));
        child.Backoff.Started();
        _ledger = _ledger with { Started = _ledger.Started + 1, Running = _ledger.Running + 1 };
        child.Run.Start();
        child.State = child.Run.IsUp ? ChildState.Running : ChildState.Starting;
        SupervisionTelemetry.Started(Variants.Channel, child.Definition.Name, child.Epoch, child.Reason);
    }

    private async Task WaitAsync(TimeSpan? next, CancellationToken stop)
    {
        using var limit = next is { } time ? new CancellationTokenSource(time, _time) : null;
        using var either = CancellationTokenSource.CreateLinkedTokenSource(stop, limit?.Token ?? default);
        await ((Task)_changed.Reader.ReadAsync(either.Token).AsTask()).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private sealed class Store(TaskSupervisor supervisor) : IChildStore
    {
        public ValueTask<string?> ReadAsync(string child, CancellationToken cancellationToken)
        {
            cancellationToken.ThrowIfCancellationRequested();
            lock (supervisor._gate) return new(supervisor._children[supervisor._catalog.PlaceOf(child)].Value);
        }

        public ValueTask WriteAsync(string child, long epoch, string value, CancellationToken cancellationToken)
        {
            cancellationToken.ThrowIfCancellationRequested();
            lock (supervisor._gate)
            {
                var known = supervisor._children[supervisor._catalog.PlaceOf(child)];
                if (known.Run?.Epoch == epoch)
                {
                    known.Value = value;
                    return default;
                }
                supervisor._counters = supervisor._counters with { Fenced = supervisor._counters.Fenced + 1 };
                SupervisionTelemetry.Fenced(Variants.Channel, child);
                return ValueTask.FromException(new ChildFencedException(child, epoch, known.Epoch));
            }
        }
    }
}
