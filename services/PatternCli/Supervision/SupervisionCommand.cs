using System.Diagnostics;
using System.Globalization;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Supervision;
using DistributedPatterns.Supervision.Tailing;

namespace DistributedPatterns.PatternCli.Supervision;

/// <summary>Lets children that count a growing log crash, hang and exit, watches that they are started again, and checks their counts against the file.</summary>
internal sealed class SupervisionCommand : PatternCommand
{
    private const string Sample = "unicode-data";

    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(50);

    private static readonly (string Child, ChildSignal Signal)[] s_faults = [("lines", ChildSignal.Crash), ("feed", ChildSignal.Exit), ("words", ChildSignal.Hang)];

    public override string Name => "supervision";

    public override string Inputs => "a file (channel only)";

    public override string Summary => "children count a log that grows; one crashes, one exits, one hangs; no count goes back";

    public override async Task<int> RunAsync(CommandContext context)
    {
        if (context.Input is not null && context.Variant != Variants.Channel) throw new BadUsageException("What the children across processes read is a setting of theirs; --input is for the variant channel.");
        var file = context.Input is null ? null : new FileInfo(context.Input);
        if (file is { Exists: false } or { Length: 0 }) throw new BadUsageException($"There is no file '{context.Input}', or it is empty.");
        var output = context.Output;
        await using ISupervised children = context.Variant == Variants.Channel
            ? await ProcessSupervised.StartAsync(file?.Name ?? Sample, file) : new GatewaySupervised(context.Gateway);

        output.WriteLine($"feed lets a log grow, lines, words and checksum tail it, {children.Where}");
        var watch = new CountWatch(children);
        await children.ResetAsync();
        await watch.UntilAsync(tree => tree.Children.All(child => child.State == ChildState.Running && child.Value is not null), s_limit, s_look);
        foreach (var (child, signal) in s_faults)
        {
            var before = await watch.ChildAsync(child);
            if (!await children.SignalAsync(child, signal)) throw new RunUnavailableException($"Child '{child}' did not run when it should {signal.ToString().ToLowerInvariant()}: something else has ended it.");
            var since = Stopwatch.GetTimestamp();
            var after = (await watch.UntilAsync(tree => tree.Children.Any(now => now.Name == child && now.State == ChildState.Running && now.Epoch > before.Epoch && now.Value != before.Value), s_limit, s_look))
                .Children.Single(now => now.Name == child);
            output.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{child} was told to {signal.ToString().ToLowerInvariant(),-6} counts on after {Stopwatch.GetElapsedTime(since).TotalMilliseconds,8:F0} ms  in {after.Owner}: {after.Reason}"));
        }

        var end = await children.ReadAsync();
        Show(end, output);
        var path = file?.FullName ?? Path.Combine(AppContext.BaseDirectory, "inputs", "UnicodeData.txt");
        var wrong = await WrongAsync(end, path);
        output.WriteLine($"counts: {watch.Reads} readings, {watch.Backwards} went back; {3 - wrong.Count} of 3 are those of the file");
        foreach (var line in wrong) context.Error.WriteLine(line);
        return wrong.Count == 0 && watch.Backwards == 0 ? CommandLine.Done : CommandLine.Failed;
    }

    private static void Show(SupervisionTree tree, TextWriter output)
    {
        output.WriteLine();
        output.WriteLine($"{"child",-10}{"state",-10}{"restarts",9}  {"epoch",-18}{"owner",-36}keeps");
        foreach (var child in tree.Children)
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{child.Name,-10}{child.State,-10}{child.Restarts,9}  {child.Epoch,-18}{child.Owner,-36}{child.Value}"));
        output.WriteLine();
        var ledger = tree.Ledger;
        output.WriteLine($"started {ledger.Started} = running {ledger.Running} + exited {ledger.Exited} + crashed {ledger.Crashed} + hung {ledger.Hung} + stopped {ledger.Stopped} + lost {ledger.Lost}");
        output.WriteLine($"{tree.Strategy}: {tree.Budget.Left} of {tree.Budget.MaxRestarts} restarts within {tree.Budget.Within} are left");
    }

    /// <summary>Counts the log plainly, as far as each child has read it.</summary>
    private static async Task<List<string>> WrongAsync(SupervisionTree tree, string path)
    {
        var bytes = await File.ReadAllBytesAsync(path);
        var wrong = new List<string>();
        foreach (var (name, count) in ((string, TailChildren.Count)[])[(TailChildren.Lines, TailCount.Lines), (TailChildren.Words, TailCount.Words), (TailChildren.Checksum, TailCount.Checksum)])
        {
            var kept = TailCount.Parse(tree.Children.Single(child => child.Name == name).Value);
            var plain = default(TailCount);
            while (plain.Offset < kept.Offset)
                plain = count(plain, bytes.AsSpan(0, (int)Math.Min(bytes.Length, kept.Offset - plain.Offset)));
            if (plain != kept) wrong.Add($"{name} keeps {kept}; a plain read counts {plain}.");
        }
        return wrong;
    }
}
