using DistributedPatterns.Diagnostics;
using DistributedPatterns.Redis;
using DistributedPatterns.Supervision.Engine;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace DistributedPatterns.Supervision;

/// <summary>Runs this process's share of the children: takes those that nobody has, renews their leases, reports their ends, does as it is told.</summary>
/// <remarks>
/// One loop renews for all children; no child can hold it up. A child whose lease could not be renewed is cancelled a tenth of a lease before it runs
/// out, whatever the loop does by then. When the process is asked to stop, its children are stopped in reverse order, each within its limit, and handed back.
/// </remarks>
internal sealed partial class RedisChildRunner : BackgroundService
{
    private readonly List<RedisHeldChild> _held = []; // in the order of the catalog; touched by the loop alone
    private readonly RedisSupervisorScript _script;
    private readonly ChildCatalog _catalog;
    private readonly RedisLeaseSupervisorOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger<RedisChildRunner> _logger;
    private readonly string _name;

    public RedisChildRunner(
        RedisSupervisorScript script, ChildCatalog catalog, string name, IOptions<RedisLeaseSupervisorOptions> options, TimeProvider time, ILogger<RedisChildRunner> logger)
    {
        (_script, _catalog, _options, _time, _logger) = (script, catalog, options.Value, time, logger);
        // A process that was started again must not be taken for the one that died.
        _name = $"{name}-{Guid.NewGuid():N}"[..(name.Length + 9)];
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await Task.Yield();
        using var bell = _script.Listen();
        while (!stoppingToken.IsCancellationRequested)
        {
            var next = await TurnAsync(bell).ConfigureAwait(false);
            await bell.WaitAsync(next, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        await LeaveAsync().ConfigureAwait(false);
    }

    /// <summary>Reports, learns, starts and stops.</summary>
    /// <returns>How long until the next turn at the latest.</returns>
    private async Task<TimeSpan> TurnAsync(RedisDoorbell.Listener bell)
    {
        foreach (var child in _held) child.LookForHang(bell.Ring);
        var sentAt = _time.GetTimestamp();
        var reports = _held.Where(child => !child.IsLost).Select(child => (Child: child, Report: child.Report())).ToList();
        RedisResult[] reply;
        try
        {
            reply = await _script.CallOnceAsync("beat", _name, reports.SelectMany(pair => pair.Report)).ConfigureAwait(false);
        }
        catch (Exception error) when (RedisRetry.IsOutage(error))
        {
            // The leases of the children here run on by themselves, to their end if need be.
            LogNoAnswer(error.Message);
            return _options.PollEvery;
        }

        SupervisionTelemetry.Restarts(Variants.Distributed, RedisSupervisorScript.StrategyOf(reply[1]), (long)reply[2]);
        if ((long)reply[3] > 0)
        {
            SupervisionTelemetry.Escalated(Variants.Distributed);
            LogEscalated();
        }
        foreach (var (child, report) in reports)
        {
            if (!RedisHeldChild.IsFinal(report)) continue;
            _held.Remove(child); // Redis knows how it ended
            LogEnded(child.Run.Name, child.Run.Epoch, (string)report[3]!);
            if (child.WasGivenUp) LogNotStopped(child.Run.Name, child.Run.Epoch, child.Run.StopLimit);
        }
        if (reports.Exists(pair => RedisHeldChild.IsFinal(pair.Report))) await _script.RingAsync().ConfigureAwait(false);
        Obey(reply.AsSpan(4), sentAt, bell);
        return Next((long)reply[0]);
    }

    private void Obey(ReadOnlySpan<RedisResult> orders, long sentAt, RedisDoorbell.Listener bell)
    {
        var lease = _options.LocalLease - _time.GetElapsedTime(sentAt);
        var mine = new HashSet<(string, long)>();
        for (; orders.Length >= 4; orders = orders[4..])
        {
            var (name, epoch, order, signal) = ((string)orders[0]!, (long)orders[1], (string)orders[2]!, (string)orders[3]!);
            mine.Add((name, epoch));
            var child = _held.Find(held => held.Run.Name == name && held.Run.Epoch == epoch);
            if (child is null && order == "run" && lease > TimeSpan.Zero) _held.Add(child = Start(name, epoch, bell));
            if (child is null && order == "stop") _held.Add(RedisHeldChild.NeverStarted(NewRun(name, epoch, bell))); // its order to run got lost
            if (child is null) continue;
            child.Run.Extend(lease);
            child.Deliver(signal);
            if (order == "stop") child.Stop(bell.Ring);
        }
        foreach (var child in _held)
        {
            if (child.IsLost || mine.Contains((child.Run.Name, child.Run.Epoch))) continue;
            LogLost(child.Run.Name, child.Run.Epoch);
            child.Lose(bell.Ring);
        }
        _held.RemoveAll(child => child.IsLost && child.HasStopped);
    }

    private RedisHeldChild Start(string name, long epoch, RedisDoorbell.Listener bell)
    {
        var run = NewRun(name, epoch, bell);
        SupervisionTelemetry.Started(Variants.Distributed, name, epoch);
        run.Start();
        return new RedisHeldChild(run);
    }

    private ChildRun NewRun(string name, long epoch, RedisDoorbell.Listener bell) =>
        new(_catalog.All[_catalog.PlaceOf(name)], _name, epoch, _script, _time, bell.Ring);

    private TimeSpan Next(long waitMs)
    {
        var next = _options.PollEvery;
        if (waitMs >= 0) Sooner(TimeSpan.FromMilliseconds(waitMs + 1));
        foreach (var child in _held)
            if (child.LookIn is { } left) Sooner(left);
        return next;

        void Sooner(TimeSpan time) => next = time < next ? TimeSpan.FromMilliseconds(Math.Max(1, time.TotalMilliseconds)) : next;
    }

    private async Task LeaveAsync()
    {
        using var stop = new CancellationTokenSource();
        using var bell = _script.Listen();
        var renewing = RenewAsync(bell, stop.Token);
        var order = _held.Where(child => !child.IsLost).OrderByDescending(child => _catalog.PlaceOf(child.Run.Name)).ToList();
        foreach (var child in order) await child.StopAsync().ConfigureAwait(false);
        await stop.CancelAsync().ConfigureAwait(false);
        await renewing.ConfigureAwait(false);

        var stopped = order.FindAll(child => child.HasStopped);
        foreach (var child in _held.Where(child => !child.HasStopped)) LogNotStopped(child.Run.Name, child.Run.Epoch, child.Run.StopLimit);
        try
        {
            // What did not stop is not handed back: its lease has to run out first.
            await _script.CallOnceAsync("leave", _name, stopped.SelectMany(child => child.Report())).ConfigureAwait(false);
            await _script.RingAsync().ConfigureAwait(false);
        }
        catch (Exception error) when (RedisRetry.IsOutage(error))
        {
            LogNoAnswer(error.Message); // the leases run out by themselves
        }
    }

    /// <summary>Keeps the leases of children that take their time to stop.</summary>
    private async Task RenewAsync(RedisDoorbell.Listener bell, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            try
            {
                var sentAt = _time.GetTimestamp();
                // Hands nothing out: a process that leaves takes nothing on.
                await _script.CallOnceAsync("leave", _name, _held.Where(child => !child.IsLost).SelectMany(child => child.Hold())).ConfigureAwait(false);
                foreach (var child in _held) child.Run.Extend(_options.LocalLease - _time.GetElapsedTime(sentAt));
            }
            catch (Exception error) when (RedisRetry.IsOutage(error))
            {
                LogNoAnswer(error.Message);
            }
            await bell.WaitAsync(_options.PollEvery, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    [LoggerMessage(LogLevel.Debug, "The children could not be renewed: {Reason}")]
    private partial void LogNoAnswer(string reason);

    [LoggerMessage(LogLevel.Warning, "Child {Child} ended (epoch {Epoch}): {Reason}")]
    private partial void LogEnded(string child, long epoch, string reason);

    [LoggerMessage(LogLevel.Warning, "Child {Child} runs elsewhere by now; epoch {Epoch} is stopped here")]
    private partial void LogLost(string child, long epoch);

    [LoggerMessage(LogLevel.Error, "The supervisor has given up: all children are stopped until it is reset")]
    private partial void LogEscalated();

    [LoggerMessage(LogLevel.Warning, "Child {Child} (epoch {Epoch}) did not stop within {Limit}. It runs on, and can write nothing once another one has been started")]
    private partial void LogNotStopped(string child, long epoch, TimeSpan limit);
}
