using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using Aspire.Hosting.Dashboard;
using Aspire.Hosting.Dashboard.Telemetry;
using Aspire.Hosting.Dashboard.Telemetry.Protocol;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using MudBlazor.Services;
using Resource = Aspire.Hosting.Dashboard.Telemetry.Protocol.Resource;

namespace DistributedPatterns.Tests.Dashboard;

/// <summary>The receiver, the store, the API and, without a login, the pages on free ports of this process, and what they log that is no mere information.</summary>
internal sealed class TelemetryServer : IAsyncDisposable
{
    public const string OtlpKey = "otlp-key";
    public const string ApiKey = "api-key";

    private static readonly Marshaller<byte[]> s_bytes = Marshallers.Create<byte[]>(bytes => bytes, bytes => bytes);

    private readonly WebApplication _app;
    private readonly GrpcChannel _channel;

    private TelemetryServer(WebApplication app, ProblemLog problems)
    {
        (_app, Problems) = (app, problems);
        var urls = app.Urls.ToArray();
        (OtlpUrl, Http) = (new(urls[0]), new() { BaseAddress = new(urls[1]) });
        Http.DefaultRequestHeaders.Add(TelemetryApi.KeyHeader, ApiKey);
        _channel = GrpcChannel.ForAddress(OtlpUrl);
    }

    public TelemetryStore Store => _app.Services.GetRequiredService<TelemetryStore>();

    public Uri OtlpUrl { get; }

    /// <summary>Gets a client of the API that has its key.</summary>
    public HttpClient Http { get; }

    public ProblemLog Problems { get; }

    public static async Task<TelemetryServer> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        var problems = new ProblemLog();
        builder.Logging.ClearProviders().AddProvider(problems);
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Listen(IPAddress.Loopback, 0, endpoint => endpoint.Protocols = HttpProtocols.Http2);
            kestrel.Listen(IPAddress.Loopback, 0, endpoint => endpoint.Protocols = HttpProtocols.Http1);
        });
        RunKeys.AddTo(builder.Services);
        builder.Services.AddTelemetry().AddMudServices().AddRazorComponents().AddInteractiveServerComponents();
        var app = builder.Build();
        app.UseAntiforgery();
        app.MapAssets();
        app.MapTelemetry(OtlpKey, ApiKey);
        app.MapRazorComponents<App>().AddInteractiveServerRenderMode();
        await app.StartAsync(TestContext.Current.CancellationToken);
        return new(app, problems);
    }

    public Task<byte[]> SendAsync(string signal, byte[] message, string? key = OtlpKey) =>
        _channel.CreateCallInvoker().AsyncUnaryCall(
            new Method<byte[], byte[]>(MethodType.Unary, $"opentelemetry.proto.collector.{signal}.v1.{char.ToUpperInvariant(signal[0])}{signal[1..]}Service", "Export", s_bytes, s_bytes),
            null, new CallOptions(key is null ? [] : new Metadata { { OtlpReceiver.KeyHeader, key } }), message).ResponseAsync;

    public async Task<ExportResponse> SendAsync(IMessage request) => ExportResponse.Parser.ParseFrom(await SendAsync(request switch
    {
        ExportLogsServiceRequest => "logs",
        ExportTraceServiceRequest => "trace",
        _ => "metrics",
    }, request.ToByteArray()));

    public async ValueTask DisposeAsync()
    {
        _channel.Dispose();
        Http.Dispose();
        await _app.DisposeAsync();
    }

    internal sealed class ProblemLog : ILoggerProvider
    {
        public ConcurrentQueue<string> Lines { get; } = new();

        public ILogger CreateLogger(string categoryName) => new Logger(this, categoryName);

        public void Dispose()
        {
        }

        private sealed class Logger(ProblemLog log, string category) : ILogger
        {
            public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

            public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Warning;

            public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
            {
                // That the machine is busy is no problem of the server's.
                if (IsEnabled(logLevel) && eventId.Name != "HeartbeatSlow") log.Lines.Enqueue($"{category}: {formatter(state, exception)} {exception}");
            }
        }
    }
}

/// <summary>Messages as exporters make them.</summary>
internal static class Otlp
{
    public static readonly DateTimeOffset Start = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);

    public static ByteString Id(int length) => ByteString.CopyFrom(RandomNumberGenerator.GetBytes(length));

    public static string Hex(this ByteString id) => Convert.ToHexStringLower(id.Span);

    public static ulong Nanos(double seconds = 0) => (ulong)((Start - DateTimeOffset.UnixEpoch).Ticks * 100 + (long)(seconds * 1e9));

    public static Resource Process(string name, string instance) => new() { Attributes = { Pair("service.name", name), Pair("service.instance.id", instance) } };

    public static KeyValue Pair(string key, string value) => new() { Key = key, Value = new() { StringValue = value } };

    public static Span Span(ByteString trace, string name = "work", ByteString? parent = null, double start = 0, double seconds = 1) => new()
    {
        TraceId = trace,
        SpanId = Id(8),
        ParentSpanId = parent ?? ByteString.Empty,
        Name = name,
        StartTimeUnixNano = Nanos(start),
        EndTimeUnixNano = Nanos(start + seconds),
    };

    public static ExportTraceServiceRequest Traces(Resource from, params Span[] spans) =>
        new() { ResourceSpans = { new ResourceSpans { Resource = from, ScopeSpans = { new ScopeSpans { Scope = new() { Name = "Test" }, Spans = { spans } } } } } };

    public static ExportLogsServiceRequest Logs(Resource from, params LogRecord[] records) =>
        new() { ResourceLogs = { new ResourceLogs { Resource = from, ScopeLogs = { new ScopeLogs { Scope = new() { Name = "Test" }, LogRecords = { records } } } } } };

    public static LogRecord Log(string message, int severity = 9) =>
        new() { TimeUnixNano = Nanos(), SeverityNumber = severity, Body = new() { StringValue = message } };

    public static ExportMetricsServiceRequest Metrics(Resource from, params Metric[] metrics) =>
        new() { ResourceMetrics = { new ResourceMetrics { Resource = from, ScopeMetrics = { new ScopeMetrics { Scope = new() { Name = "Test" }, Metrics = { metrics } } } } } };

    public static Metric Counter(double seconds, double value, AggregationTemporality temporality, double start = 0, string series = "a") => new()
    {
        Name = "counter",
        Sum = new()
        {
            IsMonotonic = true,
            AggregationTemporality = temporality,
            DataPoints = { new NumberDataPoint { StartTimeUnixNano = Nanos(start), TimeUnixNano = Nanos(seconds), AsDouble = value, Attributes = { Pair("series", series) } } },
        },
    };

    public static Metric Histogram(double seconds, ulong[] buckets, AggregationTemporality temporality) => new()
    {
        Name = "histogram",
        Unit = "s",
        Histogram = new()
        {
            AggregationTemporality = temporality,
            DataPoints =
            {
                new HistogramDataPoint
                {
                    StartTimeUnixNano = Nanos(),
                    TimeUnixNano = Nanos(seconds),
                    Sum = 10,
                    Count = (ulong)buckets.Sum(n => (long)n),
                    BucketCounts = { buckets },
                    ExplicitBounds = { 1, 2, 4 },
                },
            },
        },
    };
}
