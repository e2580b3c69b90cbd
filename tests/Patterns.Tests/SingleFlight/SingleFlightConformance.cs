using DistributedPatterns.Payloads;
using DistributedPatterns.SingleFlight;

namespace DistributedPatterns.Tests.SingleFlight;

/// <summary>What <see cref="ISingleFlight"/> promises, for every variant.</summary>
public abstract partial class SingleFlightConformance
{
    protected const int HangLimit = 90_000;

    private static readonly AsyncLocal<string?> s_ambient = new();

    internal TestWork Work { get; } = new();

    protected static CancellationToken TestStop => TestContext.Current.CancellationToken;

    /// <summary>Gets whether a run's result outlives the process that it ran in.</summary>
    protected abstract bool SurvivesProcessDeath { get; }

    /// <summary>Gets whether a work runs once at a time whatever happens to processes and servers; else it rarely runs twice, and one of the two is refused.</summary>
    protected abstract bool RunsOnceForSure { get; }

    /// <summary>Starts the variant with these works.</summary>
    internal abstract ValueTask<FlightHost> CreateAsync(Action<SingleFlightOptions>? configure, params FlightDefinition[] works);

    internal ValueTask<FlightHost> CreateAsync(Action<SingleFlightOptions>? configure = null) => CreateAsync(configure, Work.Definition, Ambient, Squares);

    private static FlightDefinition Squares => new FlightDefinition<int, long>("squares", PayloadCodec.Packed<long>(), static (input, _) => new((long)input * input));

    private static FlightDefinition Ambient => new FlightDefinition<int, string>("ambient", PayloadCodec.Utf8, static (_, _) => new(s_ambient.Value ?? "none"));

    [Fact(Timeout = HangLimit)]
    public async Task Run_ByManyAtOnce_RunsOnceAndAllGetTheSame()
    {
        const int Callers = 10_000;
        await using var host = await CreateAsync();

        var calls = Enumerable.Range(0, Callers).Select(i => host.RunAsync(i, "key", $"{i}")).ToList();
        var run = await Work.NextAsync();
        await host.WaitingAsync(Callers);
        await RegisteredAsync(host, "key"); // a process that asks after the run is answered by another
        run.Return("value");

        var results = await Task.WhenAll(calls);
        Assert.All(results, result => Assert.Equal(("value", true, run.Context.Fence), (result.Value, result.IsShared, result.Fence)));
        Assert.Equal(1, results.Count(result => result.Role == FlightRole.Led));
        Assert.Equal(Callers - 1, results.Count(result => result.Role == FlightRole.Joined));
        Assert.Equal(run.Input, $"{Array.FindIndex(results, result => result.Role == FlightRole.Led)}");
        var ledger = await host.AtRestAsync();
        Assert.Equal((Callers, 1, 1, 1), (ledger.Asked, ledger.Led, ledger.Started, ledger.Published));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_Alone_IsLedAndNothingIsKept()
    {
        await using var host = await CreateAsync();

        var first = await AnswerAsync(host.RunAsync(0, "key"), "one");
        var second = await AnswerAsync(host.RunAsync(1, "key"), "two");

        Assert.Equal(("one", FlightRole.Led, false), (first.Value, first.Role, first.IsShared));
        Assert.Equal(("two", FlightRole.Led, false), (second.Value, second.Role, second.IsShared));
        Assert.True(host.Count > 1 ? second.Fence > first.Fence : second.Fence == first.Fence + 1);
        Assert.Equal(0, (await host.AtRestAsync()).Kept);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_OfOtherKeysAndWorks_AreFlightsOfTheirOwn()
    {
        await using var host = await CreateAsync();

        var (a, b) = (host.RunAsync(0, "a", "a"), host.RunAsync(0, "b", "b"));
        var runs = new[] { await Work.NextAsync(), await Work.NextAsync() };
        var square = await host[0].RunAsync<int, long>("squares", "a", 12, cancellationToken: TestStop);
        foreach (var run in runs) run.Return(run.Input + run.Context.Key);

        Assert.Equal(("aa", "bb", 144), ((await a).Value, (await b).Value, square.Value));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_ThatStartsTheWork_LeavesItsContextOutside()
    {
        await using var host = await CreateAsync();
        s_ambient.Value = "the first caller's";

        var result = await host[0].RunAsync<int, string>("ambient", "key", 0, cancellationToken: TestStop);

        Assert.Equal("none", result.Value);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_WhileItsResultIsKept_IsCached()
    {
        var ttl = TimeSpan.FromSeconds(10);
        await using var host = await CreateAsync();

        var led = await AnswerAsync(host.RunAsync(0, "key", call: new FlightCall { Ttl = ttl }), "one");
        var cached = await host.RunAsync(1, "key");
        await host.PassAsync(ttl);
        var anew = await AnswerAsync(host.RunAsync(1, "key"), "two");

        Assert.Equal((FlightRole.Led, FlightRole.Cached, FlightRole.Led), (led.Role, cached.Role, anew.Role));
        Assert.Equal(("one", led.Fence, true), (cached.Value, cached.Fence, cached.IsShared));
        Assert.Equal("two", anew.Value);
        var ledger = await host.AtRestAsync();
        Assert.Equal((3, 2, 1, 2, 0), (ledger.Asked, ledger.Led, ledger.Cached, ledger.Started, ledger.Kept));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Forget_OfAKeptResult_MakesTheNextCallRun()
    {
        await using var host = await CreateAsync();
        await AnswerAsync(host.RunAsync(0, "key", call: new FlightCall { Ttl = TimeSpan.FromHours(1) }), "one");
        Assert.Equal(FlightRole.Cached, (await host.RunAsync(1, "key")).Role);

        await host[1].ForgetAsync("text", "key", TestStop);

        var anew = await AnswerAsync(host.RunAsync(0, "key"), "two");
        Assert.Equal(("two", FlightRole.Led), (anew.Value, anew.Role));
        Assert.Equal(0, (await host.AtRestAsync()).Kept);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Forget_WhileARunIsUnderWay_GivesLaterCallsNothingOfIt()
    {
        await using var host = await CreateAsync();
        var before = host.RunAsync(0, "key", call: new FlightCall { Ttl = TimeSpan.FromHours(1) });
        var first = await Work.NextAsync();

        await host[0].ForgetAsync("text", "key", TestStop);

        var after = host.RunAsync(1, "key");
        var second = await Work.NextAsync();
        first.Return("old");
        second.Return("new");
        Assert.Equal("new", (await after).Value);
        Assert.Equal(host.Count == 1 ? "old" : "new", (await before).Value); // across processes those who waited get the newer one
        Assert.True(second.Context.Fence > first.Context.Fence);
        if (host.Count == 1) Assert.Equal(FlightRole.Led, (await AnswerAsync(host.RunAsync(0, "key"), "newer")).Role); // the old one is not kept
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_BeyondTheLimits_IsRefusedAndCounted()
    {
        await using var host = await CreateAsync(options => (options.MaxFlights, options.MaxCallers) = (2, 3));
        Task<FlightResult<string>>[] calls = [host.RunAsync(0, "a"), host.RunAsync(0, "b")];

        var flights = await Assert.ThrowsAsync<FlightsFullException>(() => host.RunAsync(0, "c"));
        calls = [.. calls, host.RunAsync(0, "a")];
        var callers = await Assert.ThrowsAsync<FlightsFullException>(() => host.RunAsync(0, "a"));

        Assert.Equal((2, "MaxFlights", 3, "MaxCallers"), (flights.Limit, flights.Setting, callers.Limit, callers.Setting));
        (await Work.NextAsync()).Return("x");
        (await Work.NextAsync()).Return("y");
        await Task.WhenAll(calls);
        Assert.Equal(2, (await host.AtRestAsync()).Refused);
        await AnswerAsync(host.RunAsync(0, "c"), "there is room again");
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_OfWhatThereIsNot_SaysWhatThereIs()
    {
        await using var host = await CreateAsync();

        Assert.Contains("text", (await Assert.ThrowsAsync<UnknownFlightException>(async () => await host[0].RunAsync<int, int>("none", "key", 0, cancellationToken: TestStop))).Message, StringComparison.Ordinal);
        Assert.Contains("Int32", (await Assert.ThrowsAsync<UnknownFlightException>(async () => await host[0].RunAsync<int, int>("text", "key", 0, cancellationToken: TestStop))).Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<UnknownFlightException>(async () => await host[0].ForgetAsync("none", "key", TestStop));
        await Assert.ThrowsAsync<ArgumentException>(() => host.RunAsync(0, ""));
        await Assert.ThrowsAsync<ArgumentException>(() => host.RunAsync(0, new string('k', FlightDefinition.MaxKeyLength + 1)));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => host.RunAsync(0, "key", call: new FlightCall { Ttl = TimeSpan.FromDays(2) }));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => host.RunAsync(0, "key", call: new FlightCall { WaitLimit = TimeSpan.Zero }));
        Assert.Equal(0, Work.Started);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_ByCallersThatComeLeaveAndForget_GivesEachAnOutcomeOfItsOwnKey()
    {
        const int Callers = 2_000;
        await using var host = await CreateAsync();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestStop);
        var answering = Work.AnswerAllAsync(stop.Token);
        var random = new Random(7);
        var plans = Enumerable.Range(0, Callers).Select(_ => (Process: random.Next(host.Count), Key: $"k{random.Next(8)}", Leaves: random.Next(4) == 0, Forgets: random.Next(20) == 0, Keeps: random.Next(3) == 0)).ToList();

        var outcomes = await Task.WhenAll(plans.Select(async plan =>
        {
            await Task.Yield();
            using var leave = CancellationTokenSource.CreateLinkedTokenSource(TestStop);
            var call = host.RunUntilAsync(plan.Process, plan.Key, plan.Key, new FlightCall { Ttl = plan.Keeps ? TimeSpan.FromMilliseconds(20) : TimeSpan.Zero }, leave.Token);
            if (plan.Leaves) await leave.CancelAsync();
            if (plan.Forgets) await host[plan.Process].ForgetAsync("text", plan.Key, TestStop);
            try
            {
                return (plan.Key, Result: await call);
            }
            catch (OperationCanceledException) when (plan.Leaves)
            {
                return (plan.Key, Result: default(FlightResult<string>));
            }
        }));

        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => answering);
        Assert.All(outcomes.Where(outcome => outcome.Result.Value is not null), outcome => Assert.Equal($"{outcome.Key} {outcome.Result.Fence}", outcome.Result.Value));
        var ledger = await host.AtRestAsync();
        Assert.Equal((Callers, 0, 0, 0), (ledger.Asked, ledger.Failed, ledger.TimedOut, ledger.Refused));
        await host.UntilAsync(now => now.Started == Work.Started); // a flight that all have left may begin late
        if (RunsOnceForSure) Assert.Equal(0, ledger.Unpublished);
    }

    internal async Task<FlightResult<string>> AnswerAsync(Task<FlightResult<string>> call, string value)
    {
        (await Work.NextAsync()).Return(value);
        return await call;
    }
}
