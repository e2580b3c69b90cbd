using System.Text.Json;
using System.Text.Json.Serialization;
using DistributedPatterns.Tests.Pipeline;
using DistributedPatterns.WorkerPool;

namespace DistributedPatterns.Tests.WorkerPool;

/// <summary>A text to shout, and how it came out.</summary>
public sealed record Shout(string Text, int Volume);

/// <inheritdoc cref="Shout"/>
public sealed record Shouted(string Text, int Attempt, string By);

[JsonSerializable(typeof(int))]
[JsonSerializable(typeof(long))]
[JsonSerializable(typeof(Shout))]
[JsonSerializable(typeof(Shouted))]
internal sealed partial class TestJobsJson : JsonSerializerContext;

/// <summary>Two unrelated jobs, and ways to make them wait, fail or hang.</summary>
internal static class TestJobs
{
    /// <summary>Squares a number, after whatever the test wants done first.</summary>
    public static JobDefinition<int, long> Square(Func<int, JobContext, CancellationToken, Task>? first = null, Action<JobOptions>? configure = null) =>
        new("square", async (x, context, token) =>
        {
            if (first is not null) await first(x, context, token);
            return (long)x * x;
        }, TestJobsJson.Default.Int32, TestJobsJson.Default.Int64, Options(configure));

    public static JobDefinition<Shout, Shouted> Shout() => new(
        "shout", (shout, context, _) => new(new Shouted(shout.Text.ToUpperInvariant() + new string('!', shout.Volume), context.Attempt, context.Worker)),
        TestJobsJson.Default.Shout, TestJobsJson.Default.Shouted);

    /// <summary>Waits at the gate, for the jobs with these numbers only.</summary>
    public static JobDefinition<int, long> Gated(Gate gate, params int[] only) => Square(async (x, _, token) =>
    {
        if (only.Length == 0 || only.Contains(x)) await gate.PassAsync(token);
    });

    /// <summary>Never ends by itself.</summary>
    public static Task Forever(CancellationToken token) => Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, token);

    public static JsonElement Json(string text) => JsonDocument.Parse(text).RootElement;

    private static JobOptions Options(Action<JobOptions>? configure)
    {
        var options = new JobOptions { RetryDelay = TimeSpan.FromMilliseconds(20), MaxRetryDelay = TimeSpan.FromMilliseconds(50) };
        configure?.Invoke(options);
        return options;
    }
}
