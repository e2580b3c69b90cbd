using System.Runtime.CompilerServices;
using DistributedPatterns.Redis;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace DistributedPatterns.Members;

/// <summary>Keeps this instance's lease in Redis and reads everyone else's with every beat.</summary>
/// <remarks>
/// Joins once the web server has bound its addresses and leaves last, after the web server has drained. An instance whose
/// lease ran out takes it up again under the same start; one whose name was taken by a later start stays out and only looks on.
/// </remarks>
internal sealed partial class RedisMembers(
    IConnectionMultiplexer redis,
    IOptions<MembersOptions> settings,
    BoundAddresses addresses,
    IHostApplicationLifetime application,
    TimeProvider clock,
    ILogger<RedisMembers> logger,
    AtomicityProbe? probe = null) : BackgroundService, IMembers
{
    private static readonly RedisScript s_script = RedisScript.Load("Members/members.lua");

    private readonly MembersOptions _options = settings.Value;
    private readonly MemberDirectory _directory = new();
    private readonly RedisKey[] _keys = [$"{{{settings.Value.Group}}}:beats", $"{{{settings.Value.Group}}}:info"];
    private string _start = "";
    private bool _joined;
    private bool _away;
    private long _lastRead;
    private long? _outageEnded;

    public Member? Self => Volatile.Read(ref _joined) ? _directory.Find(_options.Id, _start) : null;

    public IReadOnlyList<Member> Live(string role) => [.. _directory.Read().All.Where(member => member.Role == role)];

    public async IAsyncEnumerable<IReadOnlyList<Member>> WatchAsync(string role, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        IReadOnlyList<Member>? last = null;
        while (true)
        {
            var (all, changed) = _directory.Read();
            IReadOnlyList<Member> now = [.. all.Where(member => member.Role == role)];
            if (last is null || !now.SequenceEqual(last))
                yield return last = now;
            await changed.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken).ConfigureAwait(false);
        if (!_joined)
            return;
        Volatile.Write(ref _joined, false);
        try
        {
            await CallAsync(cancellationToken, "leave", _options.Id, 0, _start).ConfigureAwait(false);
        }
        catch (Exception e) when (IsOutage(e) || e is OperationCanceledException)
        {
            LogNotLeft(_options.Id, _options.Lease, e.Message);
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            if (probe is not null)
                await probe.Passed.WaitAsync(stoppingToken).ConfigureAwait(false);
            if (_options.Announce)
                await StartedAsync(stoppingToken).ConfigureAwait(false);
            _lastRead = clock.GetTimestamp();
            using var timer = new PeriodicTimer(_options.BeatEvery, clock);
            do
            {
                await RoundAsync(stoppingToken).ConfigureAwait(false);
            }
            while (await timer.WaitForNextTickAsync(stoppingToken).ConfigureAwait(false));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The host stops; StopAsync says goodbye.
        }
    }

    private async Task StartedAsync(CancellationToken cancellationToken)
    {
        var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var registration = application.ApplicationStarted.Register(started.SetResult);
        await started.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    private async Task RoundAsync(CancellationToken cancellationToken)
    {
        try
        {
            if (_options.Announce)
                await KeepAsync(cancellationToken).ConfigureAwait(false);
            await ReadAsync(cancellationToken).ConfigureAwait(false);
            if (_away)
                LogBack();
            _away = false;
        }
        catch (Exception e) when (IsOutage(e))
        {
            // Fail static: nobody is told anything that Redis did not say.
            if (!_away)
                LogAway(_directory.Read().All.Count, e.Message);
            _away = true;
        }
    }

    private async Task KeepAsync(CancellationToken cancellationToken)
    {
        if (_joined)
        {
            var beat = (RedisResult[])(await CallAsync(cancellationToken, "beat", _options.Id, Lease, _start).ConfigureAwait(false))!;
            if ((int)beat[0] == 1)
                return;
            LogLost(_options.Id, _start);
        }
        var (grpc, http) = addresses.Read();
        var self = new Announcement(_options.Id, "", _options.Role, grpc, http);
        var join = (RedisResult[])(await CallAsync(cancellationToken, "join", _options.Id, Lease, self.Address, _start).ConfigureAwait(false))!;
        var got = (int)join[0] == 1;
        if (got)
        {
            _start = (string)join[1]!;
            LogJoined(_options.Id, _start, self.Address);
        }
        else if (_joined)
        {
            LogSuperseded(_options.Id, (string)join[1]!);
        }
        Volatile.Write(ref _joined, got);
    }

    private async Task ReadAsync(CancellationToken cancellationToken)
    {
        var list = (RedisResult[])(await CallAsync(cancellationToken, "list").ConfigureAwait(false))!;
        var now = clock.GetTimestamp();
        // After an outage every lease has run out, also those of the living: they get one lease to come back.
        if (_away || clock.GetElapsedTime(_lastRead, now) >= _options.Lease - _options.BeatEvery)
            _outageEnded = now;
        _lastRead = now;
        if (_outageEnded is { } ended && clock.GetElapsedTime(ended, now) >= _options.Lease)
            _outageEnded = null;
        _directory.Update(
            [.. list.Select(entry => (RedisResult[])entry!).Select(entry => Announcement.Parse((string)entry[0]!, (string)entry[1]!, (string)entry[2]!))],
            keepMissing: _outageEnded is not null);
    }

    private long Lease => (long)_options.Lease.TotalMilliseconds;

    // A beat that waits longer than a beat is late anyway; the client's own limit of 5 s would outlast the lease.
    private Task<RedisResult> CallAsync(CancellationToken cancellationToken, params RedisValue[] arguments) =>
        s_script.EvaluateAsync(redis.GetDatabase(), _keys, arguments).WaitAsync(_options.BeatEvery, clock, cancellationToken);

    private static bool IsOutage(Exception e) => e is RedisException or TimeoutException;

    [LoggerMessage(LogLevel.Information, "Member {Id} joined with start {Start}: {Address}")]
    private partial void LogJoined(string id, string start, string address);

    [LoggerMessage(LogLevel.Warning, "Member {Id} lost its lease of start {Start}: paused, cut off or superseded. Joining again")]
    private partial void LogLost(string id, string start);

    [LoggerMessage(LogLevel.Error, "Member {Id} stays out: a later start, {Other}, has its name. Give each instance a service.instance.id of its own")]
    private partial void LogSuperseded(string id, string other);

    [LoggerMessage(LogLevel.Warning, "Redis cannot be reached; the {Count} known members stay as they are: {Reason}")]
    private partial void LogAway(int count, string reason);

    [LoggerMessage(LogLevel.Information, "Redis can be reached again; members are current")]
    private partial void LogBack();

    [LoggerMessage(LogLevel.Warning, "Member {Id} could not say goodbye; others see it for up to {Lease}: {Reason}")]
    private partial void LogNotLeft(string id, TimeSpan lease, string reason);
}
