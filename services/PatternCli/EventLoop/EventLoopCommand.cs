using System.Diagnostics;
using System.Globalization;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.EventLoop;
using DistributedPatterns.EventLoop.Tally;
using DistributedPatterns.Pipeline;

namespace DistributedPatterns.PatternCli.EventLoop;

/// <summary>Posts the lines of a file to the keys that they belong to, and checks count, order and completeness of each key against a direct computation.</summary>
internal sealed class EventLoopCommand : PatternCommand
{
    private const int Posters = 8;
    private const int IdleMs = 300;

    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(20);

    public override string Name => "event-loop";

    public override string Inputs => "a file";

    public override string Summary => "lines are tallied by key, one at a time and in order; a timer ends a visit; checked against a direct computation";

    public override async Task<int> RunAsync(CommandContext context)
    {
        var path = context.Input ?? Path.Combine(AppContext.BaseDirectory, "inputs", "UnicodeData.txt");
        if (!File.Exists(path)) throw new BadUsageException($"There is no file '{context.Input}'.");
        // Keys of this run alone: across processes the states of an earlier one are still there.
        var run = Guid.NewGuid().ToString("N")[..8];
        var lines = await ReadAsync(path, run);
        var output = context.Output;
        await using IKeyedLoop loop = context.Variant == Variants.Channel ? new ProcessLoop() : new GatewayLoop(context.Gateway);
        var count = lines.Values.Sum(key => key.Count);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{count:N0} lines of '{Path.GetFileName(path)}' for {lines.Count:N0} keys, {loop.Where}"));

        var since = Stopwatch.GetTimestamp();
        await PostAsync(loop, lines);
        var posted = Stopwatch.GetElapsedTime(since);
        var wrong = await WrongAsync(loop, lines);
        var handled = Stopwatch.GetElapsedTime(since);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"posted after {posted.TotalMilliseconds:F0} ms, all handled and read after {handled.TotalMilliseconds:F0} ms: {count / handled.TotalSeconds:N0} events/s"));
        var ended = await VisitAsync(loop, $"{run}.visitor");

        await ShowAsync(loop, output);
        output.WriteLine($"keys: {lines.Count - wrong.Count} of {lines.Count} are as a direct computation has them");
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"visit: its timer of {IdleMs} ms ended it {(ended is { } after ? $"after {after.TotalMilliseconds:F0} ms" : "not")}"));
        foreach (var line in wrong.Take(10)) context.Error.WriteLine(line);
        return wrong.Count == 0 && ended is not null ? CommandLine.Done : CommandLine.Failed;
    }

    private static async Task<Dictionary<string, List<string>>> ReadAsync(string path, string run)
    {
        var lines = new Dictionary<string, List<string>>(StringComparer.Ordinal);
        try
        {
            await foreach (var line in TextLines.ReadAsync(path, Path.GetFileName(path)))
            {
                var key = $"{run}.{LineTally.KeyOf(line)}";
                if (!lines.TryGetValue(key, out var of)) lines[key] = of = [];
                of.Add(line);
            }
        }
        catch (InvalidDataException error)
        {
            throw new BadUsageException(error.Message);
        }
        return lines.Count > 0 ? lines : throw new BadUsageException($"'{path}' is empty.");
    }

    /// <summary>Posts all keys at the same time, each in order.</summary>
    private static Task PostAsync(IKeyedLoop loop, Dictionary<string, List<string>> lines) => Parallel.ForEachAsync(
        lines, new ParallelOptions { MaxDegreeOfParallelism = Posters }, async (key, _) =>
        {
            foreach (var some in key.Value.Chunk(PostRequest.MaxEvents))
                await loop.PostAsync(key.Key, [.. some.Select(line => TallyHandlers.Tally.With(new TallyLine(line)))]);
        });

    private static async Task<List<string>> WrongAsync(IKeyedLoop loop, Dictionary<string, List<string>> lines)
    {
        var since = Stopwatch.GetTimestamp();
        var wrong = new List<string>();
        foreach (var (key, of) in lines)
        {
            var expected = of.Aggregate((LineTally?)null, LineTally.After);
            KeyState? state;
            while ((state = await loop.ReadAsync(key)) is null || state.Applied < of.Count)
            {
                if (Stopwatch.GetElapsedTime(since) > s_limit) break;
                await Task.Delay(s_look, TimeProvider.System);
            }
            if (TallyHandlers.Tally.StateOf(state) is var kept && kept != expected) wrong.Add($"{key} is {kept}; a direct computation has {expected}.");
        }
        return wrong;
    }

    /// <returns>After how long the visit was over.</returns>
    private static async Task<TimeSpan?> VisitAsync(IKeyedLoop loop, string key)
    {
        var since = Stopwatch.GetTimestamp();
        await loop.PostAsync(key, [TallyHandlers.Visit.With(new Visit(IdleMs))]);
        while (Stopwatch.GetElapsedTime(since) < s_limit)
        {
            if (TallyHandlers.Visit.StateOf(await loop.ReadAsync(key)) is { Ended: 1, IsHere: false }) return Stopwatch.GetElapsedTime(since);
            await Task.Delay(s_look, TimeProvider.System);
        }
        return null;
    }

    private static async Task ShowAsync(IKeyedLoop loop, TextWriter output)
    {
        var partitions = await loop.ReadPartitionsAsync();
        output.WriteLine();
        output.WriteLine($"{"partition",-10}{"epoch",-18}{"owner",-36}{"keys",8}{"applied",10}{"waiting",9}{"fenced",8}");
        foreach (var one in partitions)
        {
            output.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{one.Partition,-10}{one.Epoch,-18}{one.Owner,-36}{one.Keys,8}{one.Ledger.Applied,10}{one.Ledger.Waiting,9}{one.Counters.Fenced,8}"));
        }
        output.WriteLine();
        var ledger = new EventLoopStatus(partitions).Ledger;
        output.WriteLine($"accepted {ledger.Accepted} = applied {ledger.Applied} + dead {ledger.Dead} + waiting {ledger.Waiting}");
    }
}
