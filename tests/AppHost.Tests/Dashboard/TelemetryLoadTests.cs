using System.Diagnostics;
using Aspire.Hosting.Dashboard.Telemetry.Protocol;
using Google.Protobuf;

namespace DistributedPatterns.Tests.Dashboard;

/// <summary>What the receiver costs at 5,000 spans a second for 30 seconds; not part of a normal test run.</summary>
/// <remarks><code>dotnet run --project tests/AppHost.Tests -- -explicit only -class '*TelemetryLoad*' -showLiveOutput</code></remarks>
public sealed class TelemetryLoadTests(ITestOutputHelper output)
{
    private const int SpansASecond = 5_000;
    private const int SpansABatch = 500;

    private static readonly string[] s_keys =
        ["http.request.method", "http.route", "url.path", "url.scheme", "server.address", "network.protocol.version", "patterns.name", "patterns.variant"];

    private static readonly TimeSpan s_length = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(20);

    [Fact(Explicit = true)]
    public async Task Spans_FiveThousandASecond_AreKeptOrCounted()
    {
        await using var server = await TelemetryServer.StartAsync();
        byte[][] batches = [.. Enumerable.Range(0, 20).Select(_ => Batch())];
        await server.SendAsync("trace", batches[0]); // what is made once, is made before
        using var process = Process.GetCurrentProcess();
        var (before, clock, sent) = (process.TotalProcessorTime, Stopwatch.StartNew(), SpansABatch);
        while (clock.Elapsed < s_length)
        {
            if (sent - SpansABatch > clock.Elapsed.TotalSeconds * SpansASecond)
            {
                await Task.Delay(s_pause, TimeProvider.System, TestContext.Current.CancellationToken);
                continue;
            }

            await server.SendAsync("trace", batches[sent / SpansABatch % batches.Length]);
            sent += SpansABatch;
        }

        var length = clock.Elapsed;
        process.Refresh();
        var all = (process.TotalProcessorTime - before) / length;
        clock.Restart();
        before = process.TotalProcessorTime;
        for (var i = 0; i < 100; i++) server.Store.Add(ExportTraceServiceRequest.Parser.ParseFrom(batches[i % batches.Length]));
        process.Refresh();
        var own = (process.TotalProcessorTime - before).TotalSeconds / (100 * SpansABatch) * SpansASecond;

        var kept = server.Store.Spans.Snapshot().Length;
        output.WriteLine($"{sent:N0} spans in {length.TotalSeconds:0.0} s, {sent / length.TotalSeconds:N0} a second");
        output.WriteLine($"share of one core: {all:P1} for sender and receiver, of which {own:P1} to read and store {SpansASecond:N0} spans a second");
        output.WriteLine($"{kept:N0} kept, {server.Store.Spans.Dropped:N0} dropped; heap {GC.GetTotalMemory(forceFullCollection: true) / 1024 / 1024:N0} MB");
        Assert.InRange(sent / length.TotalSeconds, SpansASecond * 0.9, double.MaxValue);
        Assert.Equal(sent + 100 * SpansABatch, kept + server.Store.Spans.Dropped);
        Assert.Equal(0, server.Store.Refused);
        Assert.Empty(server.Problems.Lines);
    }

    // Ten spans a trace, with what an HTTP span has.
    private static byte[] Batch() => Otlp.Traces(Otlp.Process("worker", "load"), [.. Enumerable.Range(0, SpansABatch / 10).SelectMany(_ =>
    {
        var (trace, root) = (Otlp.Id(16), default(ByteString));
        return Enumerable.Range(0, 10).Select(i =>
        {
            var span = Otlp.Span(trace, "GET /api/patterns/{id}", root, start: i * 0.001, seconds: 0.01);
            root ??= span.SpanId;
            foreach (var key in s_keys)
                span.Attributes.Add(Otlp.Pair(key, $"value of {key}"));
            span.Attributes.Add(new KeyValue { Key = "http.response.status_code", Value = new() { IntValue = 200 } });
            return span;
        }).ToArray();
    })]).ToByteArray();
}
