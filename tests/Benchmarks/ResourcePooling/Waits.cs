using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Threading.Channels;
using DistributedPatterns.Benchmarks.Harness;
using DistributedPatterns.ResourcePooling;
using Microsoft.Extensions.Logging.Abstractions;

namespace DistributedPatterns.Benchmarks.ResourcePooling;

/// <summary>A way to hold one of eight resources for a while.</summary>
internal abstract class WaitContender(string name) : Contender(name)
{
    public static readonly TimeSpan Hold = TimeSpan.FromMilliseconds(1);

    /// <returns>How long the wait for it was.</returns>
    public abstract Task<TimeSpan> HoldAsync();

    protected static Task HeldAsync() => Task.Delay(Hold, TimeProvider.System);
}

internal sealed class FairPool(string name) : WaitContender(name)
{
    private readonly ChannelResourcePool<Thing> _pool = new(
        "benchmark", new Things(), new ResourcePoolOptions { Capacity = Loans.Capacity, AcquireLimit = TimeSpan.FromMinutes(1) }, TimeProvider.System, NullLogger<ChannelResourcePool<Thing>>.Instance);

    public override async Task<TimeSpan> HoldAsync()
    {
        var since = Stopwatch.GetTimestamp();
        await using var loan = await _pool.AcquireAsync();
        var waited = Stopwatch.GetElapsedTime(since);
        await HeldAsync();
        loan.Resource.Use();
        return waited;
    }

    public override ValueTask TearDownAsync() => _pool.DisposeAsync();
}

internal sealed class ChannelWaits(string name) : WaitContender(name)
{
    private readonly Channel<Thing> _idle = ChannelOfThings.Filled();

    public override async Task<TimeSpan> HoldAsync()
    {
        var since = Stopwatch.GetTimestamp();
        var thing = await _idle.Reader.ReadAsync();
        var waited = Stopwatch.GetElapsedTime(since);
        await HeldAsync();
        thing.Use();
        _idle.Writer.TryWrite(thing);
        return waited;
    }
}

/// <summary>What comes back lies there for whoever asks first; one who waits is woken to try again, and lines up anew when he is too late.</summary>
internal sealed class BargingPool(string name) : WaitContender(name)
{
    private readonly ConcurrentBag<Thing> _idle = [.. Enumerable.Range(0, Loans.Capacity).Select(_ => new Thing())];
    private readonly ConcurrentQueue<TaskCompletionSource> _sleepers = new();

    public override async Task<TimeSpan> HoldAsync()
    {
        var since = Stopwatch.GetTimestamp();
        Thing? thing;
        while (!_idle.TryTake(out thing))
        {
            var sleeper = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _sleepers.Enqueue(sleeper);
            if (!_idle.IsEmpty) Wake(); // it came back before it was known that somebody waits
            await sleeper.Task;
        }
        var waited = Stopwatch.GetElapsedTime(since);
        await HeldAsync();
        thing.Use();
        _idle.Add(thing);
        Wake();
        return waited;
    }

    private void Wake()
    {
        if (_sleepers.TryDequeue(out var sleeper)) sleeper.SetResult();
    }
}

/// <summary>How long callers wait who come again at once, 200 of them for eight resources.</summary>
internal sealed class Waits(string title, IReadOnlyList<WaitContender> contenders) : IBenchmark
{
    private const int Callers = 200;
    private static readonly TimeSpan s_length = TimeSpan.FromSeconds(4);

    public async Task<string> RunAsync(RunSettings settings)
    {
        var length = settings.Quick ? s_length / 10 : s_length;
        var measured = contenders.ToDictionary(contender => contender, _ => new List<double[]>());
        foreach (var contender in contenders) await SampleAsync(contender, length / 10);
        for (var round = 0; round < settings.Rounds; round++)
            foreach (var contender in round % 2 == 0 ? contenders : contenders.Reverse()) measured[contender].Add(await SampleAsync(contender, length));
        foreach (var contender in contenders) await contender.TearDownAsync();

        var table = new StringBuilder()
            .AppendLine(CultureInfo.InvariantCulture, $"### {title}").AppendLine()
            .AppendLine("| | uses/s | p50 ms | p99 ms | p99.9 ms | longest ms |").AppendLine("|---|---:|---:|---:|---:|---:|");
        foreach (var (contender, rounds) in measured)
        {
            table.AppendLine(CultureInfo.InvariantCulture,
                $"| {contender.Name} | {Statistics.Median(rounds.Select(round => round.Length / length.TotalSeconds)):0} | {At(0.5):0.0} | {At(0.99):0.0} | {At(0.999):0.0} | {At(1):0.0} |");

            double At(double quantile) => Statistics.Median(rounds.Select(round => Statistics.Quantile(round, quantile)));
        }
        return table.ToString();
    }

    private static async Task<double[]> SampleAsync(WaitContender contender, TimeSpan length)
    {
        var since = Stopwatch.GetTimestamp();
        var waits = await Task.WhenAll(Enumerable.Range(0, Callers).Select(_ => Task.Run(async () =>
        {
            var mine = new List<double>();
            while (Stopwatch.GetElapsedTime(since) < length) mine.Add((await contender.HoldAsync()).TotalMilliseconds);
            return mine;
        })));
        return [.. waits.SelectMany(wait => wait).Order()];
    }
}
