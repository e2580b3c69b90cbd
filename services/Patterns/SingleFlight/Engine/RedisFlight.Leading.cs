using System.Globalization;
using DistributedPatterns.Redis;
using StackExchange.Redis;

namespace DistributedPatterns.SingleFlight.Engine;

internal sealed partial class RedisFlight<TIn, TOut>
{
    private const int MaxErrorLength = 1_000;

    private enum Hold
    {
        /// <summary>The work has ended.</summary>
        Done,

        /// <summary>The lease is over, or the key was forgotten.</summary>
        Lost,

        /// <summary>Nobody waits, here or elsewhere, or the process stops; the run has been given back.</summary>
        GivenBack,
    }

    /// <summary>Runs the work under the lease, and publishes its outcome.</summary>
    /// <returns><see langword="null"/> when there is another leader by now.</returns>
    private async Task<Landing<TOut>?> LeadAsync(long token, RedisDoorbell.Listener bell)
    {
        using var span = SingleFlightTelemetry.Lead(table.Variant, order.Work.Name, order.Parent);
        var cancel = new CancellationTokenSource(); // not disposed: work that ignores it has its token for longer
        table.CountStart();
        // Not on this path, which has to renew the lease.
        var work = Task.Run(() => order.Work.RunAsync(order.Input, new FlightContext(order.Key, token, cancel.Token)));
        var hold = Hold.Lost;
        try
        {
            hold = await HoldAsync(work, token, bell).ConfigureAwait(false);
        }
        finally
        {
            if (hold != Hold.Done)
            {
                await cancel.CancelAsync().ConfigureAwait(false);
                _ = CountWhenEndedAsync(work, hold == Hold.Lost ? RunEnd.Unpublished : RunEnd.Cancelled); // it may ignore its token; the table waits for it when the process stops
            }
        }
        return hold switch
        {
            Hold.Done => await PublishAsync(token, await work.ConfigureAwait(false)).ConfigureAwait(false),
            Hold.Lost => null,
            _ => Landing<TOut>.Stopped(),
        };
    }

    /// <summary>Renews the lease until the work has ended, or need not go on.</summary>
    private async Task<Hold> HoldAsync(Task work, long token, RedisDoorbell.Listener bell)
    {
        var (renewedAt, isAlone) = (_sentAt, false);
        while (true)
        {
            // A ring says that somebody has left elsewhere, or that the key was forgotten.
            if (isAlone || !order.Gone.IsCancellationRequested) await PauseAsync(work, bell, isAlone ? default : order.Gone).ConfigureAwait(false);
            if (work.IsCompleted) return Hold.Done;
            isAlone = order.Gone.IsCancellationRequested;
            var (sentAt, left) = (script.Time.GetTimestamp(), options.LocalLease - script.Time.GetElapsedTime(renewedAt));
            if (left <= TimeSpan.Zero) return Hold.Lost;
            var call = script.CallAsync(_place, !isAlone ? "extend" : table.IsStopping ? "release" : "abandon", _owner, token);
            try
            {
                var reply = await call.WaitAsync(left, script.Time).ConfigureAwait(false);
                var outcome = (string)reply[0]!;
                if (outcome == "fenced") return Hold.Lost;
                if (isAlone && outcome == "ok")
                {
                    if ((int)reply[1] > 0) await script.RingAsync(_place).ConfigureAwait(false); // one of them takes over
                    return Hold.GivenBack;
                }
                renewedAt = sentAt;
            }
            catch (Exception error) when (IsAway(error))
            {
                // The next one may get through, as long as the lease is not over.
                _ = IgnoreAsync(call);
            }
        }
    }

    /// <summary>Waits until the work ends, a renewal is due, the bell rings, or the last caller here leaves.</summary>
    private async Task PauseAsync(Task work, RedisDoorbell.Listener bell, CancellationToken gone)
    {
        using var wake = CancellationTokenSource.CreateLinkedTokenSource(gone);
        var pause = bell.WaitAsync(options.Lease / 3, wake.Token);
        await Task.WhenAny(work, pause).ConfigureAwait(false);
        await wake.CancelAsync().ConfigureAwait(false);
        await pause.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private async Task<Landing<TOut>?> PublishAsync(long token, WorkOutcome<TOut> outcome)
    {
        var end = RunEnd.Unpublished;
        try
        {
            var (value, error) = Encode(outcome);
            var reply = await script.InsistAsync(
                _place, error is null ? "done" : "error", _owner, CancellationToken.None, token, value, error is null ? (long)order.Ttl.TotalMilliseconds : 0).ConfigureAwait(false);
            if ((string)reply[0]! == "fenced") return null;
            end = error is null ? RunEnd.Published : RunEnd.Threw;
            var isShared = (int)reply[1] > 0;
            if (isShared) await script.RingAsync(_place).ConfigureAwait(false);
            return error is null
                ? Landing<TOut>.Of(outcome.Value!, FlightRole.Led, token, isShared)
                : Landing<TOut>.Failed(role => order.Failed(role, error), FlightRole.Led);
        }
        finally
        {
            table.CountEnd(order.Work.Name, end);
        }
    }

    private (RedisValue Value, Exception? Error) Encode(WorkOutcome<TOut> outcome)
    {
        var failure = outcome.Error;
        try
        {
            if (failure is null)
            {
                var value = order.Work.Encode(outcome.Value!);
                if (value.Length <= options.MaxResultBytes) return (value, null);
                failure = new InvalidOperationException(string.Create(CultureInfo.InvariantCulture,
                    $"The result has {value.Length:N0} bytes; {options.MaxResultBytes:N0} are allowed (MaxResultBytes). Return a reference instead of the data."));
            }
        }
        catch (Exception error)
        {
            failure = error; // the codec's: the callers', as if the work had thrown it
        }
        var reason = failure.Message.Length <= MaxErrorLength ? failure.Message : failure.Message[..MaxErrorLength];
        return ($"{failure.GetType().Name}\n{reason}", failure);
    }

    /// <summary>Leaves a call to itself: its outcome, which may be an error, interests nobody any more.</summary>
    private static async Task IgnoreAsync(Task call) => await call.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

    private async Task CountWhenEndedAsync(Task work, RunEnd how)
    {
        await work.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        table.CountEnd(order.Work.Name, how);
    }
}
