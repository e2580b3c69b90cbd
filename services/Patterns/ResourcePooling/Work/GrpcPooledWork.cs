using System.Text.Json;
using DistributedPatterns.Members;
using DistributedPatterns.ResourcePooling.Protocol;
using Grpc.Core;

namespace DistributedPatterns.ResourcePooling.Work;

/// <summary>Lets a worker use one of its connections, over a pooled channel to it. The connections of all workers share their permits.</summary>
internal sealed class GrpcPooledWork(IResourcePool<MemberConnection> pool, IMembers members, IMemberChannels channels, string role, TimeProvider time) : IPooledWork
{
    private static readonly TimeSpan s_grace = TimeSpan.FromSeconds(1); // the worker keeps the limit; this one is for when it cannot
    private static readonly TimeSpan s_statsLimit = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan s_leakLimit = TimeSpan.FromSeconds(10);

    public ValueTask<PooledUse> UseAsync(TimeSpan hold, TimeSpan limit, CancellationToken cancellationToken = default) =>
        CallAsync(limit, (client, left, options) => client.UseAsync(new UseRequest { HoldTicks = hold.Ticks, LimitTicks = left.Ticks }, options), cancellationToken);

    public ValueTask<PooledUse> LeakAsync(TimeSpan length, CancellationToken cancellationToken = default) =>
        CallAsync(s_leakLimit, (client, _, options) => client.LeakAsync(new LeakRequest { LengthTicks = length.Ticks }, options), cancellationToken);

    public async ValueTask<IReadOnlyList<ProcessPool>> GetStatsAsync(CancellationToken cancellationToken = default)
    {
        var asked = members.Live(role).Where(member => member.Grpc is not null).Select(member => AskAsync(member, cancellationToken));
        return [.. (await Task.WhenAll(asked).ConfigureAwait(false)).OfType<ProcessPool>()];
    }

    private async ValueTask<PooledUse> CallAsync(
        TimeSpan limit, Func<PooledWork.PooledWorkClient, TimeSpan, CallOptions, AsyncUnaryCall<UseReply>> call, CancellationToken cancellationToken)
    {
        var since = time.GetTimestamp();
        var loan = await AcquireAsync(limit, since, cancellationToken).ConfigureAwait(false);
        await using var _ = loan.ConfigureAwait(false);
        var connection = loan.Resource;
        var waited = time.GetElapsedTime(since);
        var left = limit - waited;
        // A frozen member keeps its connections open, so the call also ends when it leaves.
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, connection.Member.Left);
        try
        {
            var options = new CallOptions(deadline: time.GetUtcNow().UtcDateTime + left + s_grace, cancellationToken: either.Token);
            var reply = await call(new PooledWork.PooledWorkClient(connection.Channel), left, options).ConfigureAwait(false);
            if (reply.Exhausted is { } none)
                throw new PoolExhaustedException(none.Pool, TimeSpan.FromTicks(none.LimitTicks), new PoolCounts(none.Capacity, none.Active, none.Idle, none.Opening, none.Waiting), none.Hint);
            return new PooledUse(reply.Process, reply.Permit, reply.Token, reply.WaitedMs + waited.TotalMilliseconds, reply.HeldMs);
        }
        catch (RpcException e) when (e.StatusCode == StatusCode.Cancelled && cancellationToken.IsCancellationRequested)
        {
            throw new OperationCanceledException(e.Message, e, cancellationToken);
        }
        catch (RpcException e) when (e.StatusCode is StatusCode.Unavailable or StatusCode.Cancelled or StatusCode.Internal)
        {
            loan.MarkBroken();
            throw new RpcException(new Status(StatusCode.Unavailable, $"Member '{connection.Member.Id}' did not answer: {e.Status.Detail}", e));
        }
    }

    /// <summary>Takes a channel to a member that is alive, as far as is known.</summary>
    private async ValueTask<PooledResource<MemberConnection>> AcquireAsync(TimeSpan limit, long since, CancellationToken cancellationToken)
    {
        while (true)
        {
            var left = limit - time.GetElapsedTime(since);
            var loan = await pool.AcquireAsync(left > TimeSpan.Zero ? left : TimeSpan.Zero, cancellationToken).ConfigureAwait(false);
            if (!loan.Resource.Member.Left.IsCancellationRequested) return loan;
            loan.MarkBroken();
            await loan.DisposeAsync().ConfigureAwait(false);
        }
    }

    private async Task<ProcessPool?> AskAsync(Member member, CancellationToken cancellationToken)
    {
        try
        {
            var reply = await new PooledWork.PooledWorkClient(channels.To(member)).GetStatsAsync(
                new StatsRequest(), deadline: time.GetUtcNow().UtcDateTime + s_statsLimit, cancellationToken: cancellationToken).ConfigureAwait(false);
            return new ProcessPool(member.Id, reply.Uses, reply.Fenced, JsonSerializer.Deserialize(reply.PoolJson.Span, PooledWorkJson.Default.PoolStats)!);
        }
        catch (RpcException) when (!cancellationToken.IsCancellationRequested)
        {
            return null; // it is left out
        }
    }
}
