using System.Text.Json;
using DistributedPatterns.Members;
using DistributedPatterns.ResourcePooling.Protocol;
using Google.Protobuf;
using Grpc.Core;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.ResourcePooling.Work;

/// <summary>A service's part: uses the connections of its own pool for callers in other processes.</summary>
internal sealed class PooledWorkService(PooledWorkServer server, IOptions<MembersOptions> self) : PooledWork.PooledWorkBase
{
    public override Task<UseReply> Use(UseRequest request, ServerCallContext context) => AnswerAsync(
        () => server.Work.UseAsync(TimeSpan.FromTicks(request.HoldTicks), TimeSpan.FromTicks(request.LimitTicks), context.CancellationToken));

    public override Task<UseReply> Leak(LeakRequest request, ServerCallContext context) => AnswerAsync(
        () => server.Work.LeakAsync(TimeSpan.FromTicks(request.LengthTicks), context.CancellationToken));

    public override async Task<StatsReply> GetStats(StatsRequest request, ServerCallContext context)
    {
        var stats = (await server.Work.GetStatsAsync(context.CancellationToken).ConfigureAwait(false)).Single();
        return new StatsReply
        {
            Uses = stats.Uses,
            Fenced = stats.Fenced,
            PoolJson = UnsafeByteOperations.UnsafeWrap(JsonSerializer.SerializeToUtf8Bytes(stats.Pool, PooledWorkJson.Default.PoolStats)),
        };
    }

    private async Task<UseReply> AnswerAsync(Func<ValueTask<PooledUse>> use)
    {
        try
        {
            var used = await use().ConfigureAwait(false);
            return new UseReply { Process = used.Process, Permit = used.Permit, Token = used.Token, WaitedMs = used.WaitedMs, HeldMs = used.HeldMs };
        }
        catch (PoolExhaustedException e)
        {
            var counts = e.Counts;
            return new UseReply
            {
                Process = self.Value.Id,
                Exhausted = new Exhausted
                {
                    Pool = e.Pool,
                    LimitTicks = e.Limit.Ticks,
                    Capacity = counts.Capacity,
                    Active = counts.Active,
                    Idle = counts.Idle,
                    Opening = counts.Opening,
                    Waiting = counts.Waiting,
                    Hint = e.Hint,
                },
            };
        }
        catch (UseTimeoutException e)
        {
            throw new RpcException(new Status(StatusCode.DeadlineExceeded, e.Message));
        }
        catch (PermitFencedException e)
        {
            throw new RpcException(new Status(StatusCode.Aborted, e.Message));
        }
        catch (Exception e) when (e is ResourceOpenException or DatabaseFailedException)
        {
            throw new RpcException(new Status(StatusCode.Unavailable, e.Message));
        }
        catch (ObjectDisposedException)
        {
            throw new RpcException(new Status(StatusCode.Unavailable, $"'{self.Value.Id}' is stopping."));
        }
    }
}

/// <summary>The work of this process, which its service offers.</summary>
internal sealed record PooledWorkServer(IPooledWork Work);
