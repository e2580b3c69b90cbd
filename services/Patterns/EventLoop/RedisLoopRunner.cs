using System.Globalization;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.EventLoop.Engine;
using DistributedPatterns.Redis;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace DistributedPatterns.EventLoop;

/// <summary>Runs this process's share of the partitions: renews its leases, takes what nobody has, hands over what is too much.</summary>
/// <remarks>
/// Renewing is no partition's work and no handler can hold it up. A partition whose lease could not be renewed stops a tenth of a lease before it runs out,
/// whatever this loop does by then.
/// </remarks>
internal sealed partial class RedisLoopRunner : BackgroundService
{
    private readonly List<RedisPartitionOwner> _owned = [];
    private readonly List<Task> _handovers = [];
    private readonly RedisLoopStore _store;
    private readonly LoopHandlerCatalog _handlers;
    private readonly RedisEventLoopOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger<RedisLoopRunner> _logger;
    private readonly string _name;

    public RedisLoopRunner(
        RedisLoopStore store, LoopHandlerCatalog handlers, string name, IOptions<RedisEventLoopOptions> options, TimeProvider time, ILogger<RedisLoopRunner> logger)
    {
        (_store, _handlers, _options, _time, _logger) = (store, handlers, options.Value, time, logger);
        // A process that was started again must not be taken for the one that died.
        _name = $"{name}-{Guid.NewGuid():N}"[..(name.Length + 9)];
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await Task.Yield();
        using var bell = _store.ListenForOwners();
        await BeatAsync().ConfigureAwait(false);
        _store.RingOwners(); // their shares have become smaller
        while (!stoppingToken.IsCancellationRequested)
        {
            await bell.WaitAsync(_options.Lease / 3, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (!stoppingToken.IsCancellationRequested) await BeatAsync().ConfigureAwait(false);
        }
        await LeaveAsync().ConfigureAwait(false);
    }

    private async Task BeatAsync()
    {
        var sentAt = _time.GetTimestamp();
        RedisResult[] reply;
        try
        {
            reply = await _store.CallOnceAsync("beat", _name).ConfigureAwait(false);
        }
        catch (Exception error) when (RedisRetry.IsOutage(error))
        {
            LogNoAnswer(error.Message); // the leases here run on by themselves, to their end if need be
            return;
        }
        var (owned, surplus) = (Pairs(reply[0]), Pairs(reply[1]));
        var lease = _options.LocalLease - _time.GetElapsedTime(sentAt);
        foreach (var owner in _owned)
        {
            if (owned.Contains((owner.Partition, owner.Epoch))) owner.Extend(lease);
            else Lose(owner);
        }
        _owned.RemoveAll(static owner => owner.Running.IsCompleted);
        _handovers.RemoveAll(static handover => handover.IsCompleted);
        foreach (var (partition, epoch) in owned)
        {
            // One loop at a time, also when the last one has not ended yet: the next beat comes.
            if (lease > TimeSpan.Zero && !surplus.Contains((partition, epoch)) && !_owned.Exists(owner => owner.Partition == partition)) Take(partition, epoch, lease);
        }
        foreach (var (partition, epoch) in surplus)
        {
            var owner = _owned.Find(owner => owner.Partition == partition);
            if (owner is not { IsStopping: true }) _handovers.Add(HandOverAsync(partition, epoch, owner));
        }
    }

    private void Take(int partition, long epoch, TimeSpan lease)
    {
        var owner = new RedisPartitionOwner(_store.Partitions[partition], epoch, lease, _handlers, _options, _time, _logger);
        _owned.Add(owner);
        EventLoopTelemetry.Owned(Variants.Distributed);
        LogTaken(partition, epoch);
        owner.Start();
    }

    private void Lose(RedisPartitionOwner owner)
    {
        if (!owner.Running.IsCompleted && !owner.IsStopping) LogLost(owner.Partition, owner.Epoch);
        owner.Lose();
    }

    /// <summary>Ends a partition after the event in hand, and lets somebody else have it.</summary>
    private async Task HandOverAsync(int partition, long epoch, RedisPartitionOwner? owner)
    {
        if (owner is not null) await owner.StopAsync().ConfigureAwait(false);
        try
        {
            await _store.CallOnceAsync("drop", _name, partition, epoch).ConfigureAwait(false);
            _store.RingOwners();
            LogHandedOver(partition, epoch);
        }
        catch (Exception error) when (RedisRetry.IsOutage(error))
        {
            LogNoAnswer(error.Message); // the lease runs out by itself
        }
    }

    private async Task LeaveAsync()
    {
        try
        {
            await _store.CallOnceAsync("leave", _name).ConfigureAwait(false);
        }
        catch (Exception error) when (RedisRetry.IsOutage(error))
        {
            LogNoAnswer(error.Message);
        }
        var leaving = Task.WhenAll([.. _handovers, .. _owned.Select(owner => HandOverAsync(owner.Partition, owner.Epoch, owner))]);
        try
        {
            await leaving.WaitAsync(_options.ShutdownLimit, _time).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            foreach (var owner in _owned.Where(static owner => !owner.Running.IsCompleted)) LogNotStopped(owner.Partition, owner.Epoch, _options.ShutdownLimit);
        }
        foreach (var owner in _owned) owner.Lose(); // and what runs off the loop with it
    }

    private static HashSet<(int Partition, long Epoch)> Pairs(RedisResult reply)
    {
        var values = (string[])reply!;
        return [.. Enumerable.Range(0, values.Length / 2).Select(i =>
            (int.Parse(values[i * 2], CultureInfo.InvariantCulture), long.Parse(values[(i * 2) + 1], CultureInfo.InvariantCulture)))];
    }

    [LoggerMessage(LogLevel.Debug, "The partitions could not be renewed: {Reason}")]
    private partial void LogNoAnswer(string reason);

    [LoggerMessage(LogLevel.Debug, "Partition {Partition} is owned here, under epoch {Epoch}")]
    private partial void LogTaken(int partition, long epoch);

    [LoggerMessage(LogLevel.Debug, "Partition {Partition} is handed over; epoch {Epoch} has ended")]
    private partial void LogHandedOver(int partition, long epoch);

    [LoggerMessage(LogLevel.Warning, "Partition {Partition} is owned elsewhere by now; epoch {Epoch} is stopped here")]
    private partial void LogLost(int partition, long epoch);

    [LoggerMessage(LogLevel.Warning, "Partition {Partition} (epoch {Epoch}) did not end its turn within {Limit}; another owner begins once its lease is over")]
    private partial void LogNotStopped(int partition, long epoch, TimeSpan limit);
}
