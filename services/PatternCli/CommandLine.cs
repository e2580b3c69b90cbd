using System.CommandLine;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.PatternCli.Deadlines;
using DistributedPatterns.PatternCli.EventLoop;
using DistributedPatterns.PatternCli.FanOutFanIn;
using DistributedPatterns.PatternCli.MapReduce;
using DistributedPatterns.PatternCli.Pipelines;
using DistributedPatterns.PatternCli.ProducerConsumer;
using DistributedPatterns.PatternCli.PublishSubscribe;
using DistributedPatterns.PatternCli.RateLimiting;
using DistributedPatterns.PatternCli.ResourcePooling;
using DistributedPatterns.PatternCli.SingleFlight;
using DistributedPatterns.PatternCli.Supervision;
using DistributedPatterns.PatternCli.WorkerPool;

namespace DistributedPatterns.PatternCli;

/// <summary>What the program accepts, and its exit codes: 0 done, 1 the run failed or ended early, 2 bad usage.</summary>
internal static class CommandLine
{
    public const int Done = 0;
    public const int Failed = 1;
    public const int BadUsage = 2;

    private const string DefaultGateway = "http://localhost:5080";

    /// <summary>Gets one command a pattern.</summary>
    public static IReadOnlyList<PatternCommand> Commands { get; } =
    [
        new PipelineCommand(),
        new WorkerPoolCommand(),
        new RateLimitingCommand(),
        new FanOutFanInCommand(),
        new ProducerConsumerCommand(),
        new DeadlinesCommand(),
        new SupervisionCommand(),
        new MapReduceCommand(),
        new PublishSubscribeCommand(),
        new SingleFlightCommand(),
        new EventLoopCommand(),
        new ResourcePoolingCommand(),
    ];

    private static string Names => string.Join(", ", Commands.Select(command => command.Name));

    public static async Task<int> RunAsync(string[] args, TextWriter output, TextWriter error)
    {
        var pattern = new Option<string>("--pattern") { Description = "The pattern to run." }.AcceptOnlyFromAmong([.. Commands.Select(command => command.Name)]);
        var variant = new Option<string>("--variant")
        {
            Description = "channel runs inside this program and needs no service; distributed asks the gateway.",
            DefaultValueFactory = _ => Variants.Channel,
        }.AcceptOnlyFromAmong(Variants.Channel, Variants.Distributed);
        var input = new Option<string?>("--input") { Description = "What the pattern works on; --list says what each takes." };
        var gateway = new Option<string>("--gateway") { Description = "Where the gateway is.", DefaultValueFactory = _ => DefaultGateway };
        var list = new Option<bool>("--list") { Description = "Lists the patterns." };
        var root = new RootCommand("Runs a concurrency pattern over real data, inside this program or across processes.")
        {
            pattern, variant, input, gateway, list,
        };
        root.SetAction(async (parsed, _) =>
        {
            if (parsed.GetValue(list)) return List(output);
            if (Commands.FirstOrDefault(command => command.Name == parsed.GetValue(pattern)) is not { } command)
                return Refuse($"Option '--pattern' is missing. There are: {Names}. Try --list or --help.", error);
            if (!Uri.TryCreate(parsed.GetValue(gateway), UriKind.Absolute, out var address) || address.Scheme is not ("http" or "https"))
                return Refuse($"'{parsed.GetValue(gateway)}' is no gateway: an address such as {DefaultGateway}.", error);
            try
            {
                return await command.RunAsync(new CommandContext(parsed.GetValue(variant)!, parsed.GetValue(input), address, output, error));
            }
            catch (BadUsageException refused)
            {
                return Refuse(refused.Message, error);
            }
            catch (RunUnavailableException unavailable)
            {
                await error.WriteLineAsync(unavailable.Message);
                return Failed;
            }
        });

        var result = root.Parse(args);
        if (result.Errors.Count > 0)
            return Refuse(string.Join(Environment.NewLine, result.Errors.Select(e => e.Message)) + $"{Environment.NewLine}Try --help.", error);
        // Ctrl+C is for the run: it drains first.
        return await result.InvokeAsync(new InvocationConfiguration { Output = output, Error = error, ProcessTerminationTimeout = null });
    }

    private static int List(TextWriter output)
    {
        output.WriteLine($"{"pattern",-20}{"input",-26}what it runs");
        foreach (var command in Commands) output.WriteLine($"{command.Name,-20}{command.Inputs,-26}{command.Summary}");
        output.WriteLine("Each in the variants channel and distributed.");
        return Done;
    }

    private static int Refuse(string why, TextWriter error)
    {
        error.WriteLine(why);
        return BadUsage;
    }
}
