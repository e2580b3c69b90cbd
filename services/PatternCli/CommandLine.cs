using System.CommandLine;
using DistributedPatterns.Diagnostics;

namespace DistributedPatterns.PatternCli;

/// <summary>What the program accepts, and its exit codes: 0 done, 1 the run failed or ended early, 2 bad usage.</summary>
internal static class CommandLine
{
    public const int Done = 0;
    public const int Failed = 1;
    public const int BadUsage = 2;

    private const string Sample = "unicode-data";
    private const string DefaultGateway = "http://localhost:5080";

    public static async Task<int> RunAsync(string[] args, TextWriter output, TextWriter error)
    {
        var pattern = new Option<string>("--pattern") { Description = "The pattern to run." }.AcceptOnlyFromAmong("pipeline");
        var variant = new Option<string>("--variant")
        {
            Description = "channel runs inside this program and needs no service; distributed asks the gateway.",
            DefaultValueFactory = _ => Variants.Channel,
        }.AcceptOnlyFromAmong(Variants.Channel, Variants.Distributed);
        var input = new Option<string>("--input")
        {
            Description = $"{Sample}, or the path of a file of the same format.",
            DefaultValueFactory = _ => Sample,
        };
        var gateway = new Option<string>("--gateway") { Description = "Where the gateway is.", DefaultValueFactory = _ => DefaultGateway };
        var list = new Option<bool>("--list") { Description = "Lists the patterns." };
        var root = new RootCommand("Runs a concurrency pattern over real data, inside this program or across processes.")
        {
            pattern, variant, input, gateway, list,
        };
        root.SetAction(async (parsed, _) =>
        {
            if (parsed.GetValue(list)) return List(output);
            if (parsed.GetValue(pattern) is null) return Refuse("Option '--pattern' is missing. There are: pipeline. Try --list or --help.", error);
            var (file, refusal) = FindInput(parsed.GetValue(input)!);
            if (refusal is not null) return Refuse(refusal, error);
            if (!Uri.TryCreate(parsed.GetValue(gateway), UriKind.Absolute, out var address) || address.Scheme is not ("http" or "https"))
                return Refuse($"'{parsed.GetValue(gateway)}' is no gateway: an address such as {DefaultGateway}.", error);
            return await PipelineCommand.RunAsync(parsed.GetValue(variant)!, Sample, file, address, output, error);
        });

        var result = root.Parse(args);
        if (result.Errors.Count > 0)
            return Refuse(string.Join(Environment.NewLine, result.Errors.Select(e => e.Message)) + $"{Environment.NewLine}Try --help.", error);
        // Ctrl+C is for the run: it drains first.
        return await result.InvokeAsync(new InvocationConfiguration { Output = output, Error = error, ProcessTerminationTimeout = null });
    }

    private static (FileInfo? File, string? Refusal) FindInput(string input)
    {
        if (input == Sample) return (null, null);
        var file = input.Length == 0 ? null : new FileInfo(input);
        return file?.Exists == true ? (file, null) : (null, $"There is no input '{input}': give {Sample}, or the path of a file.");
    }

    private static int List(TextWriter output)
    {
        output.WriteLine("pattern    variants               input                     what it runs");
        output.WriteLine($"pipeline   channel, distributed   {Sample} or a file    read, parse, validate, enrich, aggregate by general category");
        return Done;
    }

    private static int Refuse(string why, TextWriter error)
    {
        error.WriteLine(why);
        return BadUsage;
    }
}
