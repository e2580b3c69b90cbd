using System.Diagnostics;
using DistributedPatterns.Redis;
using StackExchange.Redis;

namespace DistributedPatterns.SingleFlight.Engine;

/// <summary>One process's flight over Redis: it leads, or waits for who does.</summary>
internal sealed partial class RedisFlight<TIn, TOut>(FlightOrder<TIn, TOut> order, RedisFlightScript script, RedisSingleFlightOptions options, FlightTable table)
{
    // What is over a moment after its time: the clocks of server and client do not tick together.
    private static readonly TimeSpan s_afterLease = TimeSpan.FromMilliseconds(5);

    // A new one for each flight: who joins again after leaving must not inherit what it had.
    private readonly string _owner = Guid.NewGuid().ToString("N");
    private readonly RedisFlightPlace _place = script.PlaceOf(order.Work.Name, order.Key);
    private long _sentAt;

    /// <summary>Flies until there is an outcome, or nobody here waits for it.</summary>
    public async Task<Landing<TOut>> FlyAsync()
    {
        // Listen first, then ask: no ring falls in between.
        using var bell = script.Listen(_place);
        Activity? waiting = null;
        try
        {
            var newest = 0L;
            while (true)
            {
                var reply = await JoinAsync(newest).ConfigureAwait(false);
                var token = (long)reply[1];
                var role = newest == 0 ? FlightRole.Cached : FlightRole.Joined;
                switch ((string)reply[0]!)
                {
                    case "done":
                        return Landing<TOut>.Of(order.Work.Decode((byte[])reply[2]!), role, token, isShared: true);
                    case "error":
                        var (type, reason) = ReadError((string)reply[2]!);
                        return Landing<TOut>.Failed(role => new FlightFailedException(order.Work.Name, order.Key, role, type, reason), FlightRole.Joined);
                    case "lead" when script.Time.GetElapsedTime(_sentAt) > options.Lease / 3:
                        continue; // an answer that was long on its way: ask again, which renews the lease
                    case "lead":
                        if (await LeadAsync(token, bell).ConfigureAwait(false) is { } landing) return landing;
                        break; // replaced: wait for the successor
                    default:
                        waiting ??= SingleFlightTelemetry.Wait(table.Variant, order.Work.Name, order.Parent, (string?)reply[3]);
                        await bell.WaitAsync(NextLook((long)reply[2]), order.Gone).ConfigureAwait(false);
                        break;
                }
                newest = token;
            }
        }
        catch (OperationCanceledException) when (order.Gone.IsCancellationRequested)
        {
            await LeaveAsync().ConfigureAwait(false);
            return Landing<TOut>.Stopped();
        }
        catch (Exception error) when (IsAway(error))
        {
            return Landing<TOut>.Failed(_ => new FlightUnavailableException(order.Work.Name, order.Key, error), FlightRole.Led);
        }
        finally
        {
            waiting?.Dispose();
        }
    }

    private async Task<RedisResult[]> JoinAsync(long newest)
    {
        order.Gone.ThrowIfCancellationRequested();
        return await script.InsistAsync(() => _sentAt = script.Time.GetTimestamp(), _place, "join", _owner, order.Gone, newest, TraceOf(order.Parent)).ConfigureAwait(false);
    }

    private TimeSpan NextLook(long leaseLeftMs)
    {
        var left = TimeSpan.FromMilliseconds(leaseLeftMs) + s_afterLease;
        return left < options.PollEvery ? left : options.PollEvery;
    }

    /// <summary>Gives up waiting. When that was the last one, a leader whose own callers have left has to hear of it.</summary>
    private async Task LeaveAsync()
    {
        try
        {
            var reply = await script.CallAsync(_place, "leave", _owner).ConfigureAwait(false);
            if ((int)reply[1] == 0) await script.RingAsync(_place).ConfigureAwait(false);
        }
        catch (Exception error) when (IsAway(error))
        {
            // It is not counted any more once it has been silent for a lease.
        }
    }

    // The connection is not ours, and may go first.
    private static bool IsAway(Exception error) => RedisRetry.IsOutage(error) || error is ObjectDisposedException;

    // As traceparent has it; those who wait link to it.
    private static string TraceOf(ActivityContext parent) =>
        parent == default ? "-" : $"00-{parent.TraceId}-{parent.SpanId}-{(parent.TraceFlags.HasFlag(ActivityTraceFlags.Recorded) ? "01" : "00")}";

    private static (string Type, string Reason) ReadError(string text) =>
        text.IndexOf('\n', StringComparison.Ordinal) is >= 0 and var end ? (text[..end], text[(end + 1)..]) : ("", text);
}
