using System.Diagnostics;
using DistributedPatterns.Pipeline.Engine;
using DistributedPatterns.Redis;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace DistributedPatterns.Pipeline;

/// <summary>Pipelines across processes: a producer reads, workers run the stages, a reducer folds; chunks of items stream between them over gRPC.</summary>
/// <remarks>
/// This type starts and watches runs; it may live in any process that reaches Redis. What it adds to the contract:
/// <list type="bullet">
/// <item>A run survives the death or freeze of any process, its starter's included. A lost worker's chunks go to another
/// one; a lost reducer means that the input is read again from its start; a lost producer's run is taken over within the
/// lease. Each item's effect on the result counts once: the sink drops chunks it has seen, and every epoch but the newest is refused.</item>
/// <item>So a stage may see an item more than once, also at the same time in two workers. Its code should give the same
/// answer each time, and effects elsewhere need a key of their own.</item>
/// <item>Runs are as durable as the Redis that keeps their records; items never go through Redis.</item>
/// <item>A message is acknowledged whole, so its items reach the sink together.</item>
/// </list>
/// </remarks>
public sealed class GrpcPipeline : IPipeline
{
    private readonly PipelineCatalog _catalog;
    private readonly RedisRunStore _store;
    private readonly RedisDoorbell _doorbell;

    public GrpcPipeline(IConnectionMultiplexer redis, PipelineCatalog catalog, IOptions<GrpcPipelineOptions> options, TimeProvider time)
    {
        _catalog = catalog;
        _store = new RedisRunStore(redis, options);
        _doorbell = new RedisDoorbell(redis, _store.BellChannel, time);
    }

    public async Task<IPipelineRun> StartAsync(PipelineRequest request, CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        _catalog.Get(request.Pipeline).CheckInput(request.Input);
        var id = request.Id ?? Guid.NewGuid().ToString("N");
        await _store.CreateAsync(id, new StoredRequest(request.Pipeline, request.Input, Activity.Current?.Id))
            .WaitAsync(cancellationToken).ConfigureAwait(false);
        return new GrpcPipelineRun(id, _catalog, _store, _doorbell);
    }

    public async ValueTask<IPipelineRun?> FindAsync(string runId, CancellationToken cancellationToken = default)
    {
        var status = await _store.GetAsync(runId).WaitAsync(cancellationToken).ConfigureAwait(false);
        return status is null ? null : new GrpcPipelineRun(runId, _catalog, _store, _doorbell);
    }
}

internal sealed class GrpcPipelineRun(string id, PipelineCatalog catalog, RedisRunStore store, RedisDoorbell doorbell) : IPipelineRun
{
    private static readonly TimeSpan s_pollAtMost = TimeSpan.FromMilliseconds(500);

    public string Id => id;

    public async ValueTask<PipelineStatus> GetStatusAsync(CancellationToken cancellationToken = default)
    {
        var status = await store.GetAsync(id).WaitAsync(cancellationToken).ConfigureAwait(false)
            ?? throw new PipelineRunException($"Run {id} is no longer known: it ended too long ago, or Redis lost it.");

        // Its driver has not reported yet.
        return status.Stages.Count > 0 ? status : status with
        {
            Stages = [.. catalog.Get(status.Pipeline).StageNames.Select(name => new StageMeter(name).Read())],
        };
    }

    public async Task<PipelineStatus> WaitAsync(CancellationToken cancellationToken = default)
    {
        using var bell = doorbell.Listen(id);
        while (true)
        {
            var status = await GetStatusAsync(cancellationToken).ConfigureAwait(false);
            if (status.HasEnded) return status;
            await bell.WaitAsync(s_pollAtMost, cancellationToken).ConfigureAwait(false);
        }
    }

    public async ValueTask StopAsync(PipelineStop how, CancellationToken cancellationToken = default)
    {
        var status = await GetStatusAsync(cancellationToken).ConfigureAwait(false);
        var ledger = status.Ledger;
        await store.StopAsync(id, how, status with { State = PipelineState.Aborted, Ledger = ledger with { Dropped = ledger.InFlight } })
            .WaitAsync(cancellationToken).ConfigureAwait(false);
    }
}
