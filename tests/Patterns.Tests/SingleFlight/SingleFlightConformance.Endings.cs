using DistributedPatterns.SingleFlight;

namespace DistributedPatterns.Tests.SingleFlight;

public abstract partial class SingleFlightConformance
{
    [Fact(Timeout = HangLimit)]
    public async Task Leave_OfTheFirstCaller_LetsTheOthersGoOn()
    {
        using var leave = new CancellationTokenSource();
        await using var host = await CreateAsync();
        var first = host.RunUntilAsync(0, "key", leave.Token);
        var run = await Work.NextAsync();
        var others = Enumerable.Range(0, 10).Select(i => host.RunAsync(i, "key")).ToList();
        await host.WaitingAsync(11);
        await RegisteredAsync(host, "key");

        await leave.CancelAsync();

        Assert.Equal(leave.Token, (await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first)).CancellationToken);
        Assert.False(run.Context.Token.IsCancellationRequested);
        run.Return("value");
        Assert.All(await Task.WhenAll(others), result => Assert.Equal(("value", FlightRole.Joined), (result.Value, result.Role)));
        var ledger = await host.AtRestAsync();
        Assert.Equal((11, 0, 10, 1, 1), (ledger.Asked, ledger.Led, ledger.Joined, ledger.Left, ledger.Published));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Leave_OfTheLastCaller_CancelsTheRunAndNobodyJoinsIt()
    {
        using var leave = new CancellationTokenSource();
        await using var host = await CreateAsync();
        var calls = Enumerable.Range(0, 4).Select(i => host.RunUntilAsync(i, "key", leave.Token)).ToList();
        var run = await Work.NextAsync();
        run.IgnoresToken = true;
        await host.WaitingAsync(4);
        await RegisteredAsync(host, "key");

        await leave.CancelAsync();
        await run.UntilCancelledAsync();

        var next = await AnswerAsync(host.RunAsync(0, "key"), "new");
        Assert.Equal(("new", FlightRole.Led), (next.Value, next.Role));
        Assert.Equal(1, host.Read().Running); // it ignores its token, and is counted until it ends
        run.Return("nobody waits for it");
        Assert.All(calls, call => Assert.True(call.IsCanceled));
        var ledger = await host.AtRestAsync();
        Assert.Equal((4, 1, 1), (ledger.Left, ledger.Cancelled, ledger.Published));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_ThatFails_FailsForAllAndIsNotKept()
    {
        await using var host = await CreateAsync();
        var calls = Enumerable.Range(0, 10).Select(i => host.RunAsync(i, "key", call: new FlightCall { Ttl = TimeSpan.FromHours(1) })).ToList();
        var run = await Work.NextAsync();
        await host.WaitingAsync(10);
        await RegisteredAsync(host, "key");

        run.Throw(new InvalidDataException("broken: äöü\nsecond line"));

        var errors = await Task.WhenAll(calls.Select(call => Assert.ThrowsAsync<FlightFailedException>(() => call)));
        Assert.All(errors, error => Assert.Equal(("text", "key", nameof(InvalidDataException), "broken: äöü\nsecond line"), (error.Work, error.Key, error.ErrorType, error.Reason)));
        Assert.Equal(10, errors.Distinct().Count()); // each caller's own
        Assert.Equal(1, errors.Count(error => error.Role == FlightRole.Led));
        var next = await AnswerAsync(host.RunAsync(1, "key"), "well");
        Assert.Equal(("well", FlightRole.Led), (next.Value, next.Role));
        var ledger = await host.AtRestAsync();
        Assert.Equal((10, 1, 1), (ledger.Failed, ledger.Threw, ledger.Published));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_WhoseWorkCancelsItself_HasFailed()
    {
        await using var host = await CreateAsync();
        var call = host.RunAsync(0, "key");

        (await Work.NextAsync()).Throw(new OperationCanceledException("its own"));

        Assert.Equal("its own", (await Assert.ThrowsAsync<FlightFailedException>(() => call)).Reason);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_BeyondItsWaitLimit_LeavesAndTheOthersGoOn()
    {
        var limit = TimeSpan.FromMilliseconds(300);
        await using var host = await CreateAsync();
        var patient = host.RunAsync(0, "key");
        var run = await Work.NextAsync();
        var hasty = host.RunAsync(0, "key", call: new FlightCall { WaitLimit = limit });

        await host.PassAsync(limit);

        Assert.Equal(limit, (await Assert.ThrowsAsync<FlightTimeoutException>(() => hasty)).Limit);
        run.Return("value");
        Assert.Equal("value", (await patient).Value);
        var ledger = await host.AtRestAsync();
        Assert.Equal((1, 1, 0), (ledger.TimedOut, ledger.Led, ledger.Left));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_WithACancelledToken_StartsNothing()
    {
        await using var host = await CreateAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => host.RunUntilAsync(0, "key", new CancellationToken(canceled: true)));

        Assert.Equal(0, Work.Started);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Stop_WithRunsThatEndInTime_LetsThemEnd()
    {
        await using var host = await CreateAsync(options => options.DrainLimit = TimeSpan.FromMinutes(1));
        var call = host.RunAsync(0, "key");
        var run = await Work.NextAsync();

        var stopping = StopAsync(host, 0);
        await Assert.ThrowsAsync<SingleFlightStoppedException>(() => host.RunAsync(0, "other"));
        run.Return("value");

        Assert.Equal("value", (await call).Value);
        await stopping;
        Assert.Equal(0, host[0].GetLedger().Running);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Stop_WithARunThatDoesNotEnd_CutsItOff()
    {
        await using var host = await CreateAsync(options => options.DrainLimit = TimeSpan.Zero);
        var call = host.RunAsync(0, "key");
        var run = await Work.NextAsync();

        await StopAsync(host, 0);

        await Assert.ThrowsAsync<SingleFlightStoppedException>(() => call);
        await run.UntilCancelledAsync();
        await Support.Eventually.TrueAsync(() => host[0].GetLedger() is { Running: 0, Cancelled: 1, Failed: 1 }, TimeSpan.FromSeconds(20), () => $"{host[0].GetLedger()}");
    }

    [Fact(Timeout = HangLimit)]
    public async Task Stop_OfTheProcessThatRanTheWork_LeavesItsResult()
    {
        Assert.SkipUnless(SurvivesProcessDeath, "What one process keeps goes with it.");
        await using var host = await CreateAsync();
        var led = await AnswerAsync(host.RunAsync(0, "key", call: new FlightCall { Ttl = TimeSpan.FromHours(1) }), "value");

        await StopAsync(host, 0);

        var cached = await host.RunAsync(1, "key");
        Assert.Equal(("value", FlightRole.Cached, led.Fence), (cached.Value, cached.Role, cached.Fence));
    }

    /// <summary>Waits until every process that has callers of a key has told the others.</summary>
    internal virtual Task RegisteredAsync(FlightHost host, string key) => Task.CompletedTask;

    private static Task StopAsync(FlightHost host, int process) => ((IAsyncDisposable)host[process]).DisposeAsync().AsTask();
}
