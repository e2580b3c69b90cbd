using System.Diagnostics;
using System.Globalization;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Scenarios;

namespace DistributedPatterns.PatternCli.SingleFlight;

/// <summary>Lets many ask for the same: while it runs, while one of them leaves, when it fails, when it is kept, and for a file's digest.</summary>
internal sealed class SingleFlightCommand : PatternCommand
{
    private const string Sample = "us-constitution.txt";
    private const int Callers = 100;

    private static readonly TimeSpan s_ttl = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_timeout = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_short = TimeSpan.FromMilliseconds(100); // the work needs longer

    public override string Name => "single-flight";

    public override string Inputs => $"{Sample} or an input's name";

    public override string Summary => $"{Callers.ToString(CultureInfo.InvariantCulture)} callers a key: one run for all of them, whoever leaves";

    public override async Task<int> RunAsync(CommandContext context)
    {
        await using IFlights flights = context.Variant == Variants.Channel ? new ProcessFlights() : new GatewayFlights(context.Gateway);
        var output = context.Output;
        output.WriteLine($"{Callers} callers a key, {(context.Variant == Variants.Channel ? "in this process" : $"through {context.Gateway}")}");
        output.WriteLine();
        var key = $"{Guid.NewGuid():N}"; // nobody else's
        // Through a gateway all of them have to connect meanwhile.
        var work = new SimulatedWork(WorkKind.Io, TimeSpan.FromSeconds(context.Variant == Variants.Channel ? 1 : 3));
        bool[] kept =
        [
            await ShowAsync($"work of {work.Duration.TotalSeconds} s", _ => RunAsync("a"), ("led", 1), ("joined", Callers - 1)),
            await ShowAsync("the same, and one leaves", i => RunAsync("b", timeout: i == 0 ? s_short : s_timeout), ("late", 1)),
            await ShowAsync("work that fails", _ => RunAsync("c", fails: true), ("failed", Callers)),
            await ShowAsync("the same key once more", _ => RunAsync("c"), ("led", 1), ("joined", Callers - 1)),
            await KeepAsync("d"),
            await ShowAsync("a result that is kept", _ => RunAsync("d", s_ttl), ("cached", Callers)),
            await ForgetAsync("d"),
            await ShowAsync("the same, forgotten", _ => RunAsync("d"), ("led", 1), ("joined", Callers - 1)),
            await ShowAsync($"sha256 of {context.Input ?? Sample}", _ => flights.DigestAsync(context.Input ?? Sample)),
        ];
        if (kept.All(isKept => isKept)) return CommandLine.Done;
        context.Error.WriteLine("That is not what singleflight promises: one run for all who ask meanwhile, its outcome for each of them, and nothing kept that was not to be.");
        return CommandLine.Failed;

        Task<FlightAnswer> RunAsync(string name, TimeSpan ttl = default, TimeSpan? timeout = null, bool fails = false) =>
            flights.RunAsync($"{key}-{name}", work, ttl, timeout ?? s_timeout, fails);

        async Task<bool> KeepAsync(string name) => (await RunAsync(name, s_ttl)).Role == "led";

        async Task<bool> ForgetAsync(string name)
        {
            await flights.ForgetAsync($"{key}-{name}");
            return true;
        }

        async Task<bool> ShowAsync(string title, Func<int, Task<FlightAnswer>> ask, params (string Role, int Callers)[] expected)
        {
            var since = Stopwatch.GetTimestamp();
            var answers = await Task.WhenAll(Enumerable.Range(0, Callers).Select(ask));
            var roles = answers.CountBy(answer => answer.Role).ToDictionary(StringComparer.Ordinal);
            var different = answers.Where(answer => answer.Role != "late").Select(answer => answer.Text).Distinct(StringComparer.Ordinal).Count();
            output.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{title,-34}{string.Join(", ", roles.OrderBy(role => role.Key, StringComparer.Ordinal).Select(role => $"{role.Value} {role.Key}")),-24}{different} outcome(s) after {Stopwatch.GetElapsedTime(since).TotalMilliseconds,6:N0} ms"));
            return different == 1 && expected.All(pair => roles.GetValueOrDefault(pair.Role) == pair.Callers);
        }
    }
}
