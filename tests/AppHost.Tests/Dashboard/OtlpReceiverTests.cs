using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Net;
using System.Net.Http.Headers;
using Aspire.Hosting.Dashboard.Telemetry;
using Google.Protobuf;
using Grpc.Core;
using Microsoft.Extensions.Logging;
using OpenTelemetry;
using OpenTelemetry.Exporter;
using OpenTelemetry.Logs;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;
using StatusCode = Grpc.Core.StatusCode;

namespace DistributedPatterns.Tests.Dashboard;

/// <summary>What an exporter, a broken one and a stranger meet.</summary>
public sealed partial class OtlpReceiverTests : IAsyncLifetime
{
    private TelemetryServer _server = null!;

    public async ValueTask InitializeAsync() => _server = await TelemetryServer.StartAsync();

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        await _server.DisposeAsync();
    }

    [Fact]
    public void Export_ByTheOpenTelemetrySdk_ArrivesWhole()
    {
        var resource = ResourceBuilder.CreateEmpty().AddService("sdk", serviceInstanceId: "one", autoGenerateServiceInstanceId: false);
        void Configure(OtlpExporterOptions otlp)
        {
            (otlp.Endpoint, otlp.Protocol) = (_server.OtlpUrl, OtlpExportProtocol.Grpc);
            otlp.Headers = $"{OtlpReceiver.KeyHeader}={TelemetryServer.OtlpKey}";
            // At once, and for as long as a busy machine may need: what is left at the end has five seconds.
            (otlp.ExportProcessorType, otlp.TimeoutMilliseconds) = (ExportProcessorType.Simple, 60_000);
        }

        using var source = new ActivitySource("sdk-source");
        using var meter = new Meter("sdk-meter");
        var histogram = meter.CreateHistogram<double>("sdk.duration", "s");
        var counter = meter.CreateCounter<long>("sdk.calls");
        string traceId;
        using (var traces = Sdk.CreateTracerProviderBuilder().SetResourceBuilder(resource).AddSource(source.Name).AddOtlpExporter(Configure).Build())
        using (var metrics = Sdk.CreateMeterProviderBuilder().SetResourceBuilder(resource).AddMeter(meter.Name).AddOtlpExporter(Configure).Build())
        using (var logs = LoggerFactory.Create(logging => logging.AddOpenTelemetry(otel => otel.SetResourceBuilder(resource).AddOtlpExporter(Configure))))
        {
            using (var creator = source.StartActivity("create", ActivityKind.Producer))
            using (var child = source.StartActivity("child", ActivityKind.Internal, default(ActivityContext), links: [new(creator!.Context)]))
            {
                child!.SetStatus(ActivityStatusCode.Error, "broken").SetTag("answer", 42).AddException(new InvalidOperationException("why"));
                traceId = child.TraceId.ToHexString();
                LogFailed(logs.CreateLogger("sdk-category"), new InvalidOperationException("why"), 3);
                histogram.Record(0.3, new KeyValuePair<string, object?>("route", "/x"));
                counter.Add(5);
            }

            Assert.True(metrics.ForceFlush(60_000));
        }

        var spans = _server.Store.Spans.Snapshot();
        var (made, worked) = (spans.Single(span => span.Name == "create"), spans.Single(span => span.Name == "child"));
        Assert.Equal("sdk-one", worked.Resource.Id);
        Assert.Equal((traceId, true, "broken", "Internal"), (worked.TraceId, worked.IsError, worked.Error, worked.Kind));
        Assert.Equal(new SpanLink(made.TraceId, made.SpanId), Assert.Single(worked.Links));
        Assert.Contains(new("answer", "42"), worked.Attributes);
        Assert.Equal("exception", Assert.Single(worked.Events).Name);
        Assert.InRange(worked.Duration, TimeSpan.FromTicks(1), TimeSpan.FromMinutes(1));
        var log = Assert.Single(_server.Store.Logs.Snapshot());
        Assert.Equal((LogLevel.Error, "sdk-category", worked.TraceId, worked.SpanId), (log.Level, log.Category, log.TraceId, log.SpanId));
        Assert.Contains(log.Attributes, a => a is { Key: "exception.message", Value: "why" });
        var series = Assert.Single(_server.Store.Metrics.Series("sdk", "sdk-meter", "sdk.duration"));
        Assert.Equal((1, 0.3), (series.Points[^1].Count, series.Points[^1].Value));
        Assert.Equal(5, Assert.Single(_server.Store.Metrics.Series("sdk-one", "sdk-meter", "sdk.calls")).Points[^1].Value);
        Assert.Empty(_server.Problems.Lines);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("otlp-kez")]
    [InlineData("otlp-key-and-more")]
    public async Task Export_WithoutTheKey_IsUnauthenticatedAndKeepsNothing(string? key)
    {
        var message = Otlp.Logs(Otlp.Process("a", "b"), Otlp.Log("secret")).ToByteArray();

        var refusal = await Assert.ThrowsAsync<RpcException>(() => _server.SendAsync("logs", message, key));

        Assert.Equal(StatusCode.Unauthenticated, refusal.StatusCode);
        Assert.Empty(_server.Store.Logs.Snapshot());
        await AssertStillServesAsync();
    }

    [Theory]
    [InlineData(OtlpReceiver.MaxMessageBytes - 1024, null)]
    [InlineData(OtlpReceiver.MaxMessageBytes + 1, StatusCode.ResourceExhausted)]
    public async Task Export_ByItsSize_IsTakenOrRefused(int size, StatusCode? expected)
    {
        var message = Otlp.Logs(Otlp.Process("a", "b"), Otlp.Log(new string('x', size))).ToByteArray();

        var refusal = await Record.ExceptionAsync(() => _server.SendAsync("logs", message)) as RpcException;

        Assert.Equal(expected, refusal?.StatusCode);
        await AssertStillServesAsync();
    }

    public static TheoryData<string, byte[]> Malformed => new()
    {
        { "logs", [0xff, 0xff, 0xff] },
        { "trace", [0x0a, 0x7f, 0x01] }, // a length beyond the message's end
        { "metrics", [0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f] }, // a negative length
        { "logs", [.. Enumerable.Repeat((byte)0x0b, 5_000)] }, // groups within groups
    };

    [Theory]
    [MemberData(nameof(Malformed), DisableDiscoveryEnumeration = true)]
    public async Task Export_Malformed_IsInvalidArgument(string signal, byte[] message)
    {
        var refusal = await Assert.ThrowsAsync<RpcException>(() => _server.SendAsync(signal, message));

        Assert.Equal(StatusCode.InvalidArgument, refusal.StatusCode);
        await AssertStillServesAsync();
    }

    [Fact]
    public async Task Export_TruncatedInItsFrame_IsRefused()
    {
        using var http = new HttpClient();
        byte[] frame = [0, 0, 0, 0, 200, .. Otlp.Logs(Otlp.Process("a", "b"), Otlp.Log("cut off")).ToByteArray().AsSpan(0, 10)];
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(_server.OtlpUrl, "/opentelemetry.proto.collector.logs.v1.LogsService/Export"))
        {
            Content = new ByteArrayContent(frame),
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        request.Headers.Add(OtlpReceiver.KeyHeader, TelemetryServer.OtlpKey);
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/grpc");

        using var response = await http.SendAsync(request, TestContext.Current.CancellationToken);

        var status = response.Headers.TryGetValues("grpc-status", out var values) ? values : response.TrailingHeaders.GetValues("grpc-status");
        Assert.Equal(((int)StatusCode.Internal).ToString(System.Globalization.CultureInfo.InvariantCulture), Assert.Single(status));
        await AssertStillServesAsync();
    }

    [Fact]
    public async Task Export_FieldsOfALaterVersion_AreSkipped()
    {
        var message = Otlp.Logs(Otlp.Process("a", "b"), Otlp.Log("known")).ToByteArray();

        await _server.SendAsync("logs", [.. message, 0xfa, 0x7d, 3, 1, 2, 3]); // field 2015, three bytes

        Assert.Equal("known", Assert.Single(_server.Store.Logs.Snapshot()).Message);
    }

    [Fact]
    public async Task Export_SpansWithoutIds_AreRefusedAndTheOthersTaken()
    {
        var (good, noTrace, shortId) = (Otlp.Span(Otlp.Id(16)), Otlp.Span(ByteString.CopyFrom(new byte[16])), Otlp.Span(Otlp.Id(16)));
        shortId.SpanId = Otlp.Id(7);

        var response = await _server.SendAsync(Otlp.Traces(Otlp.Process("a", "b"), noTrace, good, shortId));

        Assert.Equal(2, response.PartialSuccess.Rejected);
        Assert.Equal(2, _server.Store.Refused);
        Assert.Equal(good.SpanId.Hex(), Assert.Single(_server.Store.Spans.Snapshot()).SpanId);
    }

    [LoggerMessage(LogLevel.Error, "Failed {Count} times")]
    private static partial void LogFailed(ILogger logger, Exception error, int count);

    private async Task AssertStillServesAsync()
    {
        Assert.Null((await _server.SendAsync(Otlp.Logs(Otlp.Process("after", "1"), Otlp.Log("still here")))).PartialSuccess);
        Assert.Equal("still here", _server.Store.Logs.Snapshot()[^1].Message);
        Assert.Empty(_server.Problems.Lines);
    }
}
