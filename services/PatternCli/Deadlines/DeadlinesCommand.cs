using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Serialization;
using DistributedPatterns.Deadlines;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Scenarios;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace DistributedPatterns.PatternCli.Deadlines;

/// <summary>Spends budgets on a chain of hops: one that is ample, one that is too short, one within which a hop has to be asked again.</summary>
internal sealed class DeadlinesCommand : PatternCommand
{
    private static readonly SimulatedWork s_work = new(WorkKind.Io, TimeSpan.FromMilliseconds(50));
    private static readonly TimeSpan s_ample = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan s_short = TimeSpan.FromMilliseconds(100); // three hops of 50 ms need more

    public override string Name => "deadlines";

    public override string Inputs => "none";

    public override string Summary => "3 hops of 50 ms within 20 s, within 100 ms, and with a hop that is away once";

    public override async Task<int> RunAsync(CommandContext context)
    {
        if (context.Input is not null) throw new BadUsageException("This pattern takes no --input.");
        await using var services = context.Variant == Variants.Channel ? Services() : null;
        using var client = context.Variant == Variants.Channel ? null : new GatewayClient(context.Gateway);
        Func<TimeSpan, int, Task<HopReply?>> spend = client is null
            ? (budget, unavailable) => SpendHereAsync(services!, budget, unavailable)
            : (budget, unavailable) => SpendThroughGatewayAsync(client, budget, unavailable);

        var output = context.Output;
        output.WriteLine($"3 hops of {s_work.Duration.TotalMilliseconds} ms each, {(client is null ? "in this process" : $"across processes, through {context.Gateway}")}");
        var ample = await ShowAsync(output, "an ample budget", s_ample, unavailable: 0, spend);
        var tooShort = await ShowAsync(output, "a budget that is too short", s_short, unavailable: 0, spend);
        var again = await ShowAsync(output, "hop 3 is away once; the chain may be tried three times", s_ample, unavailable: 3, spend);
        if (ample is { Hops.Count: 3 } && tooShort is null && again is { Hops: [_, _, { Attempt: 2 }] }) return CommandLine.Done;
        context.Error.WriteLine("That is not what deadlines promise: three hops, none, three hops at the second attempt.");
        return CommandLine.Failed;
    }

    private static async Task<HopReply?> ShowAsync(TextWriter output, string title, TimeSpan budget, int unavailable, Func<TimeSpan, int, Task<HopReply?>> spend)
    {
        var since = Stopwatch.GetTimestamp();
        var reply = await spend(budget, unavailable);
        var elapsed = Stopwatch.GetElapsedTime(since);
        output.WriteLine();
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{title}: {budget.TotalMilliseconds:N0} ms"));
        foreach (var hop in reply?.Hops ?? [])
        {
            output.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"  hop {hop.Hop} {hop.Process,-32} attempt {hop.Attempt}  had {hop.BudgetMs,8:N1} ms  worked {hop.WorkMs,6:N1} ms  used {hop.TotalMs,6:N1} ms with those behind it"));
        }
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {(reply is null ? "deadline exceeded" : "done")} after {elapsed.TotalMilliseconds:N1} ms"));
        return reply;
    }

    private static ServiceProvider Services() => new ServiceCollection()
        .AddLogging()
        .AddSingleton<IConfiguration>(new ConfigurationBuilder().AddEnvironmentVariables().Build())
        .AddDeadlineScenarios()
        .AddTaskBudgetedCalls()
        .BuildServiceProvider();

    private static async Task<HopReply?> SpendHereAsync(ServiceProvider services, TimeSpan budget, int unavailable)
    {
        var calls = services.GetRequiredKeyedService<IBudgetedCalls>(Variants.Channel);
        var deadline = services.GetRequiredService<DeadlineRunner>().After(budget);
        try
        {
            return await calls.CallAsync<HopRequest, HopReply>(
                HopOperations.NameOf(1), new HopRequest(HopOperations.Count, s_work, Unavailable: unavailable), deadline, new BudgetedCall { MaxAttempts = unavailable == 0 ? 1 : 3 });
        }
        catch (DeadlineExceededException)
        {
            return null;
        }
    }

    private static async Task<HopReply?> SpendThroughGatewayAsync(GatewayClient client, TimeSpan budget, int unavailable)
    {
        var query = $"hops={HopOperations.Count}&work={s_work}{(unavailable == 0 ? "" : $"&unavailable={unavailable}&attempts=3")}";
        using var response = await client.SendAsync(HttpMethod.Get, $"/api/deadlines/{Variants.Distributed}/?{query}", null,
            ("Request-Timeout-Ms", budget.TotalMilliseconds.ToString(CultureInfo.InvariantCulture)));
        if (response.StatusCode == HttpStatusCode.GatewayTimeout) return null;
        await client.CheckAsync(response);
        return await response.Content.ReadFromJsonAsync(DeadlinesCliJson.Default.HopReply) ?? throw client.NoGateway("it gave no result");
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(HopReply))]
internal sealed partial class DeadlinesCliJson : JsonSerializerContext;
