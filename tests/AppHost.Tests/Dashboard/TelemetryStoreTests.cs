using Aspire.Hosting.Dashboard.Telemetry;
using Aspire.Hosting.Dashboard.Telemetry.Protocol;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using Resource = Aspire.Hosting.Dashboard.Telemetry.Protocol.Resource;

namespace DistributedPatterns.Tests.Dashboard;

/// <summary>What is kept, what makes room, and how a trace reads on where another one links to it.</summary>
public sealed class TelemetryStoreTests
{
    private static readonly Resource s_process = Otlp.Process("worker", "abc");

    private static TelemetryStore Store(TelemetryLimits? limits = null) => new(new FakeTimeProvider(Otlp.Start), limits ?? new());

    [Fact]
    public void Logs_BeyondTheNumber_OldestMakeRoomAndAreCounted()
    {
        var store = Store(new() { Logs = 3 });

        for (var i = 0; i < 5; i++) store.Add(Otlp.Logs(s_process, Otlp.Log($"{i}")));

        Assert.Equal(["2", "3", "4"], store.Logs.Snapshot().Select(log => log.Message));
        Assert.Equal(2, store.Logs.Dropped);
        Assert.Equal(5, Assert.Single(store.Resources()).Logs);
    }

    [Fact]
    public void Spans_BeyondTheSize_OldestMakeRoomAndAreCounted()
    {
        var store = Store(new() { Bytes = 10_000 });

        store.Add(Otlp.Traces(s_process, [.. Enumerable.Range(0, 20).Select(i => Otlp.Span(Otlp.Id(16), new string('x', 1_000)))]));

        Assert.Equal(3, store.Spans.Snapshot().Length); // 2 KB of name and 512 bytes each
        Assert.Equal(17, store.Spans.Dropped);
    }

    [Fact]
    public void Entry_LongOrManifold_IsCutShort()
    {
        var store = Store(new() { Text = 10, Items = 2 });
        var log = Otlp.Log(new string('x', 11));
        log.Attributes.Add([Otlp.Pair("list", ""), Otlp.Pair(new string('k', 20), "exactly 10"), Otlp.Pair("third", "")]);
        log.Attributes[0].Value = new() { ArrayValue = new() { Values = { new AnyValue { IntValue = 1 }, new AnyValue { BoolValue = true }, new AnyValue { DoubleValue = 2.5 } } } };

        store.Add(Otlp.Logs(s_process, log));

        var entry = Assert.Single(store.Logs.Snapshot());
        Assert.Equal("xxxxxxxxxx…", entry.Message);
        Assert.Equal([new("list", "[1, true, …"), new("kkkkkkkkkk…", "exactly 10")], entry.Attributes);
    }

    [Fact]
    public void Resource_BeyondTheLimit_IsRefusedAndTheKnownGoOn()
    {
        var store = Store(new() { Resources = 1 });
        store.Add(Otlp.Logs(s_process, Otlp.Log("first")));

        Assert.Equal(2, store.Add(Otlp.Logs(Otlp.Process("other", "x"), Otlp.Log("1"), Otlp.Log("2"))));
        Assert.Equal(0, store.Add(Otlp.Logs(s_process, Otlp.Log("second"))));

        Assert.Equal(2, store.Refused);
        Assert.Equal(["first", "second"], store.Logs.Snapshot().Select(log => log.Message));
    }

    [Fact]
    public void Limits_AreThoseThatTheDocumentTells()
    {
        var limits = new TelemetryLimits();
        var document = File.ReadAllText(Path.Combine(Projects.AppHost.ProjectPath, "..", "docs", "operations.md"));

        string[] rows =
        [
            $"| logs | {limits.Logs:N0}, and {limits.Bytes / 1024 / 1024} MB |", $"| spans | {limits.Spans:N0}, and {limits.Bytes / 1024 / 1024} MB |",
            $"| metrics | {limits.Series:N0} series of {limits.Points} points each", $"| processes | {limits.Resources} |",
            $" | {limits.Text:N0} characters; {limits.Items} of each |", $"| a message | {OtlpReceiver.MaxMessageBytes / 1024 / 1024} MB |",
        ];
        Assert.All(rows, row => Assert.Contains(row, document, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("worker", "abc", "worker-abc")]
    [InlineData("worker", "", "worker")]
    [InlineData("", "", "unknown_service")]
    public void Resource_HasTheHostsId(string name, string instance, string id)
    {
        var store = Store();

        store.Add(Otlp.Logs(Otlp.Process(name, instance), Otlp.Log("")));

        Assert.Equal(id, Assert.Single(store.Resources()).Id);
    }

    [Theory]
    [InlineData(0, LogLevel.Information)]
    [InlineData(1, LogLevel.Trace)]
    [InlineData(4, LogLevel.Trace)]
    [InlineData(9, LogLevel.Information)]
    [InlineData(13, LogLevel.Warning)]
    [InlineData(20, LogLevel.Error)]
    [InlineData(24, LogLevel.Critical)]
    [InlineData(int.MaxValue, LogLevel.Critical)]
    [InlineData(-1, LogLevel.Trace)]
    public void Log_Severity_IsALevel(int severity, LogLevel level)
    {
        var store = Store();

        store.Add(Otlp.Logs(s_process, Otlp.Log("", severity)));

        Assert.Equal(level, Assert.Single(store.Logs.Snapshot()).Level);
    }

    [Fact]
    public void Span_ThatEndsBeforeItStarts_TakesNoTime()
    {
        var store = Store();

        store.Add(Otlp.Traces(s_process, Otlp.Span(Otlp.Id(16), seconds: -1)));

        Assert.Equal(TimeSpan.Zero, Assert.Single(store.Spans.Snapshot()).Duration);
    }

    [Fact]
    public void Waterfall_LinkedTraces_FollowWhereTheyLink()
    {
        var store = Store();
        var (request, job, next) = (Otlp.Id(16), Otlp.Id(16), Otlp.Id(16));
        var root = Otlp.Span(request, "POST");
        var send = Otlp.Span(request, "send", root.SpanId, start: 0.1);
        var other = Otlp.Span(request, "reply", root.SpanId, start: 0.2);
        var process = LinkTo(Otlp.Span(job, "process", start: 5), send);
        var effect = Otlp.Span(job, "effect", process.SpanId, start: 6);
        var last = LinkTo(LinkTo(Otlp.Span(next, "last", start: 7), effect), root); // to two, and so in a circle with the next line
        LinkTo(root, last);
        store.Add(Otlp.Traces(s_process, Otlp.Span(Otlp.Id(16), "unrelated"), last, effect, other, process, send, root));

        var rows = Waterfall.Of(request.Hex(), store.Spans.Snapshot(), 100);

        Assert.Equal(
            [("POST", 0, false), ("send", 1, false), ("process", 2, true), ("effect", 3, true), ("last", 4, true), ("reply", 1, false)],
            rows.Select(row => (row.Span.Name, row.Depth, row.IsLinked)));
        Assert.Equal(3, Waterfall.Of(request.Hex(), store.Spans.Snapshot(), 3).Count);
    }

    [Fact]
    public void Waterfall_ParentThatIsNotThere_SpanIsARoot()
    {
        var store = Store();
        var trace = Otlp.Id(16);
        store.Add(Otlp.Traces(s_process, Otlp.Span(trace, "orphan", Otlp.Id(8)), Otlp.Span(trace, "root", start: 1)));

        Assert.Equal([("orphan", 0), ("root", 0)], Waterfall.Of(trace.Hex(), store.Spans.Snapshot(), 100).Select(row => (row.Span.Name, row.Depth)));
        Assert.Equal("root", Assert.Single(Trace.Group(store.Spans.Snapshot())).Root.Name);
    }

    [Fact]
    public void Trace_OfSeveralProcesses_IsSummedUp()
    {
        var store = Store();
        var trace = Otlp.Id(16);
        var failed = Otlp.Span(trace, "call", start: 1, seconds: 4);
        failed.Status = new() { Code = Status.Types.StatusCode.Error };
        store.Add(Otlp.Traces(Otlp.Process("worker", "b"), failed));
        store.Add(Otlp.Traces(Otlp.Process("gateway", "a"), Otlp.Span(trace, "GET", seconds: 2)));
        store.Add(Otlp.Traces(s_process, Otlp.Span(Otlp.Id(16), "later", start: 100)));

        var traces = Trace.Group(store.Spans.Snapshot()).ToArray();

        Assert.Equal(["later", "GET"], traces.Select(t => t.Root.Name));
        Assert.Equal((TimeSpan.FromSeconds(5), 1), (traces[1].Duration, traces[1].Errors));
        Assert.Equal([("gateway-a", 1), ("worker-b", 1)], traces[1].Resources.Select(r => (r.Resource.Id, r.Spans)));
        Assert.Equal("GET", Assert.Single(new SpanFilter("WORKER-b", null, true, null).Traces(store.Spans.Snapshot())).Root.Name);
        Assert.Empty(new SpanFilter("worker-b", null, false, null).Traces(store.Spans.Snapshot()));
    }

    private static Span LinkTo(Span span, Span target)
    {
        span.Links.Add(new Span.Types.Link { TraceId = target.TraceId, SpanId = target.SpanId });
        return span;
    }
}
