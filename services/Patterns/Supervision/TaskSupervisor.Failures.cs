using DistributedPatterns.Diagnostics;
using DistributedPatterns.Supervision.Engine;

namespace DistributedPatterns.Supervision;

/// <content>What is done when a child ends.</content>
public sealed partial class TaskSupervisor
{
    private async Task LookAtAsync(SupervisedChild child)
    {
        if (child.Run is not { } run || _escalated is not null) return;
        if (run.End is null && run.HeartbeatLeft <= TimeSpan.Zero)
        {
            await StopAsync(child, run.AsHung).ConfigureAwait(false);
            Decide(child, run.AsHung);
        }
        else if (run.End is { } end)
        {
            lock (_gate) Count(child, end);
            Decide(child, end);
        }
        else if (run.IsUp && child.State == ChildState.Starting)
        {
            lock (_gate) child.State = ChildState.Running;
            return;
        }
        else return;
        await StopSiblingsAsync(child).ConfigureAwait(false);
    }

    /// <summary>Decides what becomes of a child that has ended.</summary>
    private void Decide(SupervisedChild child, ChildEnd end)
    {
        lock (_gate)
        {
            child.State = ChildState.Exited;
            if (end.Kind == ChildEndKind.EndTree)
            {
                Escalate(child, $"{child.Definition.Name} {end.Reason}");
                return;
            }
            var isToRestart = child.Definition.Options.Restart switch
            {
                ChildRestart.Permanent => end.Kind != ChildEndKind.Done,
                ChildRestart.Transient => end.Kind is ChildEndKind.Crashed or ChildEndKind.Hung,
                _ => false,
            };
            if (!isToRestart) return;
            if (!_budget.TrySpend())
            {
                Escalate(child, $"{child.Definition.Name} {end.Reason}, after {_options.MaxRestarts} restarts within {_options.Within:c} (MaxRestarts, Within).");
                return;
            }
            child.Restarts++;
            child.WaitFor(child.Backoff.Next());
            child.State = ChildState.BackingOff;
            _counters = _counters with { Restarts = _counters.Restarts + 1 };
            SupervisionTelemetry.Restarts(Variants.Channel, _strategy);
        }
    }

    /// <summary>Stops those that a failed child takes with it, in reverse order; they start again after its pause.</summary>
    private async Task StopSiblingsAsync(SupervisedChild failed)
    {
        if (failed.State != ChildState.BackingOff || _strategy == SupervisionStrategy.OneForOne) return;
        var first = _strategy == SupervisionStrategy.OneForAll ? 0 : Array.IndexOf(_children, failed) + 1;
        for (var i = _children.Length - 1; i >= first; i--)
        {
            var sibling = _children[i];
            if (sibling == failed) continue;
            if (sibling.Run is not null)
            {
                await StopAsync(sibling, new ChildEnd(ChildEndKind.Stopped, $"stopped with {failed.Definition.Name}")).ConfigureAwait(false);
                lock (_gate) sibling.State = sibling.Definition.Options.Restart == ChildRestart.Temporary ? ChildState.Exited : ChildState.Waiting;
            }
            lock (_gate)
            {
                if (sibling.IsWaiting) sibling.Due = Math.Max(sibling.Due, failed.Due);
            }
        }
    }

    private async Task<StopReport> StopAllAsync()
    {
        var stopped = new List<string>();
        foreach (var child in Enumerable.Reverse(_children))
        {
            if (child.Run is not null && await StopAsync(child, new ChildEnd(ChildEndKind.Stopped, "stopped with its supervisor")).ConfigureAwait(false))
                stopped.Add(child.Definition.Name);
            lock (_gate)
            {
                if (child.State != ChildState.Exited) child.State = ChildState.Stopped;
            }
        }
        lock (_gate)
        {
            _isRunning = false;
            if (_isRevived) Revive();
            _replaced.RemoveAll(run => run.End is not null);
            return new StopReport(stopped, [.. _replaced.Select(run => new NotStoppedChild(run.Name, run.Epoch, run.StopLimit))]);
        }
    }

    /// <summary>Stops a child's current start. From here on it can write nothing, whether it ends or not.</summary>
    /// <param name="child">The child.</param>
    /// <param name="reason">What its end counts as, unless it ends by itself in this moment.</param>
    private async Task<bool> StopAsync(SupervisedChild child, ChildEnd reason)
    {
        var run = child.Run!;
        var byItself = run.End;
        lock (_gate) child.State = ChildState.Stopping;
        // It may still write while it stops, to keep what it has: nobody else runs under its name yet.
        var hasStopped = byItself is not null || await run.StopAsync().ConfigureAwait(false);
        lock (_gate)
        {
            if (!hasStopped) _replaced.Add(run);
            Count(child, byItself ?? reason);
        }
        return hasStopped;
    }

    private void Count(SupervisedChild child, ChildEnd end)
    {
        (child.Run, child.Reason) = (null, end.Reason);
        var ledger = _ledger with { Running = _ledger.Running - 1 };
        _ledger = end.Kind switch
        {
            ChildEndKind.Exited or ChildEndKind.Done => ledger with { Exited = ledger.Exited + 1 },
            ChildEndKind.Hung => ledger with { Hung = ledger.Hung + 1 },
            ChildEndKind.Stopped => ledger with { Stopped = ledger.Stopped + 1 },
            _ => ledger with { Crashed = ledger.Crashed + 1 },
        };
    }

    private void Escalate(SupervisedChild child, string reason)
    {
        child.State = ChildState.Stopped; // a reset starts it again
        _escalated = reason;
        _counters = _counters with { Escalations = _counters.Escalations + 1 };
        SupervisionTelemetry.Escalated(Variants.Channel);
    }
}
