using DistributedPatterns.EventLoop.Engine;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.EventLoop;

/// <summary>The event loop inside this process: a <see cref="TurnLoop{T}"/> a partition, to which its keys, their states and timers belong.</summary>
/// <remarks>
/// An event is handled once. Whatever the loop has is gone with the process; when it is stopped it handles what waits within
/// <see cref="EventLoopOptions.ShutdownLimit"/>. Events that come back from off the loop have turns beside posted ones, by weight, so that neither starves.
/// <para>A state is kept as the object that its handler returned: it must not be changed afterwards.</para>
/// </remarks>
public sealed partial class ChannelEventLoop : IEventLoop, IAsyncDisposable
{
    private readonly ChannelLane[] _lanes;
    private readonly LoopHandlerCatalog _handlers;
    private readonly ChannelEventLoopOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger<ChannelEventLoop> _logger;
    private Task? _stopping;

    public ChannelEventLoop(LoopHandlerCatalog handlers, IOptions<ChannelEventLoopOptions> options, TimeProvider time, ILogger<ChannelEventLoop> logger)
    {
        (_handlers, _options, _time, _logger) = (handlers, options.Value, time, logger);
        var epoch = (time.GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond;
        _lanes = [.. Enumerable.Range(0, _options.Partitions).Select(number => new ChannelLane(number, epoch, _options, handlers, time, logger))];
    }

    /// <inheritdoc/>
    public async ValueTask<PostReceipt> PostAsync(PostRequest request, CancellationToken cancellationToken = default)
    {
        var events = LoopRequests.Read(request, _handlers);
        return request.Id is null
            ? await LaneOf(request.Key).PostAsync(request, events, null, cancellationToken).ConfigureAwait(false)
            : (await LaneOf(request.Key).PostOnceAsync(request, events, cancellationToken).ConfigureAwait(false)).Receipt;
    }

    /// <inheritdoc/>
    public async ValueTask<KeyState> AskAsync(PostRequest request, TimeSpan within, CancellationToken cancellationToken = default)
    {
        var events = LoopRequests.Read(request, _handlers);
        var lane = LaneOf(request.Key);
        if (lane.IsInTurn) throw new LoopReentrancyException();
        using var limit = new CancellationTokenSource(within, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, limit.Token);
        PostReceipt? receipt = null;
        try
        {
            var outcome = new OutcomeSource();
            if (request.Id is null) receipt = await lane.PostAsync(request, events, outcome, either.Token).ConfigureAwait(false);
            else (receipt, outcome) = await lane.PostOnceAsync(request, events, either.Token).ConfigureAwait(false);
            var (state, error) = await outcome.Task.WaitAsync(either.Token).ConfigureAwait(false);
            return state ?? throw new LoopEventFailedException(request.Key, error!.Message, error);
        }
        catch (OperationCanceledException)
        {
            cancellationToken.ThrowIfCancellationRequested();
            throw new AskTimedOutException(request.Key, within, receipt);
        }
    }

    /// <inheritdoc/>
    public ValueTask<KeyState?> ReadAsync(string key, CancellationToken cancellationToken = default)
    {
        LoopRequests.CheckKey(key);
        return new(LaneOf(key).Find(key));
    }

    /// <inheritdoc/>
    public ValueTask<EventLoopStatus> GetStatusAsync(CancellationToken cancellationToken = default) => new(new EventLoopStatus([.. _lanes.Select(lane => lane.Read())]));

    /// <summary>Takes nothing on any more, and handles what waits within <see cref="EventLoopOptions.ShutdownLimit"/>; what is left then is thrown away, and logged.</summary>
    public async ValueTask DisposeAsync() => await (_stopping ??= StopAsync()).ConfigureAwait(false);

    private async Task StopAsync()
    {
        var left = await Task.WhenAll(_lanes.Select(lane => lane.StopAsync(_options.ShutdownLimit))).ConfigureAwait(false);
        if (left.Sum() > 0) LogLeft(left.Sum(), _options.ShutdownLimit);
    }

    private ChannelLane LaneOf(string key) => _lanes[LoopRequests.PartitionOf(key, _lanes.Length)];

    [LoggerMessage(LogLevel.Error, "{Count} events had no turn within {Limit} and are lost")]
    private partial void LogLeft(int count, TimeSpan limit);
}
