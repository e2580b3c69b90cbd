using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using Microsoft.Extensions.Hosting;
using StackExchange.Redis;
using StackExchange.Redis.Profiling;

namespace ServiceDefaults.Redis;

/// <summary>Turns the client's profile of each Redis command into a span beneath the operation that sent it.</summary>
/// <remarks>
/// Commands sent outside a recorded operation leave no span: heartbeats and polls would otherwise be most of all traces.
/// Spans are made up to a second after the command, with the times at which it ran.
/// </remarks>
internal sealed class RedisTracing(TimeProvider? clock = null) : BackgroundService
{
    /// <summary>The name that OpenTelemetry's own instrumentation uses, so that both builds read alike.</summary>
    public const string SourceName = "OpenTelemetry.Instrumentation.StackExchangeRedis";

    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(1);
    private static readonly ActivitySource s_source = new(SourceName);

    private readonly ConcurrentDictionary<Activity, ProfilingSession> _sessions = new();

    public void Follow(IConnectionMultiplexer connection) => connection.RegisterProfiler(Session);

    public override void Dispose()
    {
        Drain();
        base.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(s_interval, clock ?? TimeProvider.System);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken).ConfigureAwait(false))
                Drain();
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            Drain();
        }
    }

    private ProfilingSession? Session() =>
        s_source.HasListeners() && Activity.Current is { Recorded: true, IsStopped: false } parent
            ? _sessions.GetOrAdd(parent, static _ => new ProfilingSession())
            : null;

    private void Drain()
    {
        foreach (var (parent, session) in _sessions)
        {
            // Read before the drain: a command may still end between the two, and then the next round sees it.
            var last = parent.IsStopped;
            foreach (var command in session.FinishProfiling())
                Record(command, parent.Context);
            if (last)
                _sessions.TryRemove(parent, out _);
        }
    }

    private static void Record(IProfiledCommand command, ActivityContext parent)
    {
        using var span = s_source.StartActivity(command.Command, ActivityKind.Client, parent, startTime: command.CommandCreated);
        if (span is null)
            return;
        span.SetTag("db.system.name", "redis");
        span.SetTag("db.operation.name", command.Command);
        if (command.Db >= 0)
            span.SetTag("db.namespace", command.Db.ToString(CultureInfo.InvariantCulture));
        var (host, port) = command.EndPoint switch
        {
            IPEndPoint ip => (ip.Address.ToString(), ip.Port),
            DnsEndPoint dns => (dns.Host, dns.Port),
            _ => (null, 0),
        };
        if (host is not null)
        {
            span.SetTag("server.address", host);
            span.SetTag("server.port", port);
        }
        span.SetEndTime(command.CommandCreated + command.ElapsedTime);
    }
}
