using System.Globalization;
using DistributedPatterns.Diagnostics;

namespace DistributedPatterns.PatternCli.PublishSubscribe;

/// <summary>Publishes lines of the character table by their category, to subscribers of four kinds, and checks what each got against the lines.</summary>
internal sealed class PublishSubscribeCommand : PatternCommand
{
    private const int Lines = 2_000;
    private const int Publishers = 8;

    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);

    public override string Name => "publish-subscribe";

    public override string Inputs => "-";

    public override string Summary => "lines go to subscribers that read all, some, slowly, or go away and come back; each knows what it missed";

    public override async Task<int> RunAsync(CommandContext context)
    {
        if (context.Input is not null) throw new BadUsageException("publish-subscribe publishes lines of its own; it takes no --input.");
        var output = context.Output;
        var root = $"run-{Guid.NewGuid():N}"[..12];
        var lines = await ReadLinesAsync();
        await using ITopicClient topic = context.Variant == Variants.Channel ? new ProcessTopic() : new GatewayTopic(context.Gateway);
        using var limit = new CancellationTokenSource(s_limit, TimeProvider.System);

        output.WriteLine($"{Lines} lines, each under its category, {topic.Where}");
        await using var all = await topic.OpenAsync($"{root}.**", "wait");
        await using var letters = await topic.OpenAsync($"{root}.L.*", "wait");
        await using var slow = await topic.OpenAsync("**", "latest");
        var leaver = await topic.OpenAsync($"{root}.**", "wait");
        var reading = Task.WhenAll(ReadAsync(all, Lines, limit.Token), ReadAsync(letters, lines.Count(line => line.Category[0] == 'L'), limit.Token), ReadAndComeBackAsync(topic, leaver, $"{root}.**", limit.Token));

        var end = await PublishAsync(topic, root, lines);

        List<string>[] got;
        SlowReading late;
        try
        {
            got = await reading;
            late = await ReadSlowlyAsync(slow, end, limit.Token);
        }
        catch (OperationCanceledException)
        {
            throw new RunUnavailableException($"Not all subscribers have read everything within {s_limit}.");
        }
        var expected = lines.Select(line => line.Text).Order(StringComparer.Ordinal).ToArray();
        var checks = new (string What, bool IsRight)[]
        {
            ($"reads all: {got[0].Count} lines", got[0].Order(StringComparer.Ordinal).SequenceEqual(expected)),
            ($"reads letters (L.*): {got[1].Count} lines", got[1].Order(StringComparer.Ordinal).SequenceEqual(lines.Where(line => line.Category[0] == 'L').Select(line => line.Text).Order(StringComparer.Ordinal))),
            ($"goes away and comes back: {got[2].Count} lines", got[2].Order(StringComparer.Ordinal).SequenceEqual(expected)),
            (string.Create(CultureInfo.InvariantCulture, $"wants the latest alone, after a pause: received {late.Received} + missed {late.Missed} = published {end - slow.Start}"), late.Received + late.Missed == end - slow.Start),
        };
        foreach (var (what, isRight) in checks) output.WriteLine($"{(isRight ? "right" : "WRONG"),-7}{what}");
        return checks.All(check => check.IsRight) ? CommandLine.Done : CommandLine.Failed;
    }

    /// <summary>Returns lines from all over the table, with their categories: <c>L.u</c> for <c>Lu</c>.</summary>
    private static async Task<(string Category, string Text)[]> ReadLinesAsync()
    {
        var all = await File.ReadAllLinesAsync(Path.Combine(AppContext.BaseDirectory, "inputs", "UnicodeData.txt"));
        return [.. Enumerable.Range(0, Lines).Select(i => all[(int)((long)i * all.Length / Lines)]).Select(line => (line.Split(';')[2].Insert(1, "."), line))];
    }

    private static async Task<long> PublishAsync(ITopicClient topic, string root, (string Category, string Text)[] lines)
    {
        var numbers = await Task.WhenAll(Enumerable.Range(0, Publishers).Select(async publisher =>
        {
            var last = 0L;
            for (var i = publisher; i < lines.Length; i += Publishers) last = await topic.PublishAsync($"{root}.{lines[i].Category}", lines[i].Text);
            return last;
        }));
        return numbers.Max();
    }

    private static async Task<List<string>> ReadAsync(ITopicStream stream, int count, CancellationToken cancellationToken)
    {
        var lines = new List<string>(count);
        while (lines.Count < count)
            if ((await stream.ReadAsync(cancellationToken)).Line is { } line) lines.Add(line);
        return lines;
    }

    /// <summary>Reads a third, leaves, and goes on from there.</summary>
    private static async Task<List<string>> ReadAndComeBackAsync(ITopicClient topic, ITopicStream stream, string subjects, CancellationToken cancellationToken)
    {
        var lines = new List<string>(Lines);
        var last = "";
        await using (stream)
        {
            while (lines.Count < Lines / 3)
            {
                var item = await stream.ReadAsync(cancellationToken);
                last = item.Id;
                if (item.Line is { } line) lines.Add(line);
            }
        }
        await using var again = await topic.OpenAsync(subjects, "wait", last);
        lines.AddRange(await ReadAsync(again, Lines - lines.Count, cancellationToken));
        return lines;
    }

    private static async Task<SlowReading> ReadSlowlyAsync(ITopicStream stream, long end, CancellationToken cancellationToken)
    {
        var (received, missed) = (0L, 0L);
        while (true)
        {
            var item = await stream.ReadAsync(cancellationToken);
            if (item.Line is null) missed += item.Missed;
            else received++;
            if (item.Sequence >= end) return new SlowReading(received, missed);
        }
    }

    private readonly record struct SlowReading(long Received, long Missed);
}
