using DistributedPatterns.Diagnostics;
using DistributedPatterns.SingleFlight;
using DistributedPatterns.Tests.Guarantees;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Time.Testing;

namespace DistributedPatterns.Tests.SingleFlight;

/// <summary>The contract over <see cref="TaskSingleFlight"/>, on a clock of the test's own.</summary>
[Guarantees("single-flight", Variants.Channel)]
[DoesNotPromise(Guarantee.Order, "none: keys have nothing to do with each other")]
[Promises(Guarantee.Delivery, "one run of a key at a time, one outcome for all who waited", nameof(Run_ByManyAtOnce_RunsOnceAndAllGetTheSame), nameof(Leave_OfTheFirstCaller_LetsTheOthersGoOn))]
[DoesNotPromise(Guarantee.ProcessDeath, "its runs are gone, and what was kept")]
[DoesNotPromise(Guarantee.StaleHolder, "there is none")]
[Promises(Guarantee.Full, "a key beyond `MaxFlights` or a caller beyond `MaxCallers` is refused, and counted", nameof(Run_BeyondTheLimits_IsRefusedAndCounted))]
public sealed class TaskSingleFlightTests : SingleFlightConformance
{
    private readonly FakeTimeProvider _time = new();

    protected override bool SurvivesProcessDeath => false;

    protected override bool RunsOnceForSure => true;

    internal override ValueTask<FlightHost> CreateAsync(Action<SingleFlightOptions>? configure, params FlightDefinition[] works) => new(Create(configure, works));

    [Fact(Timeout = HangLimit)]
    public async Task Run_BeyondWhatMayBeKept_IsNotKeptAndCounted()
    {
        await using var host = Create(options => ((TaskSingleFlightOptions)options).MaxKept = 1, Work.Definition);
        var call = new FlightCall { Ttl = TimeSpan.FromMinutes(1) };

        await AnswerAsync(host.RunAsync(0, "a", call: call), "a");
        await AnswerAsync(host.RunAsync(0, "b", call: call), "b");

        Assert.Equal(FlightRole.Cached, (await host.RunAsync(0, "a")).Role);
        Assert.Equal(FlightRole.Led, (await AnswerAsync(host.RunAsync(0, "b"), "b")).Role);
        Assert.Equal((1, 1), (host.Read().Kept, host.Read().NotKept));
        _time.Advance(call.Ttl);
        await AnswerAsync(host.RunAsync(0, "b", call: call), "b"); // there is room again
        Assert.Equal((1, 1), (host.Read().Kept, host.Read().NotKept));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_OfAThousandWhoLeave_LeavesNothingBehind()
    {
        await using var host = Create(null, Work.Definition);
        for (var i = 0; i < 1_000; i++)
        {
            using var leave = new CancellationTokenSource();
            var call = host.RunUntilAsync(0, $"key {i}", leave.Token);
            await leave.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
        }

        await host.UntilAsync(ledger => ledger.Cancelled == 1_000); // a flight that nobody waits for any more may not have begun yet
        Assert.Equal(1_000, (await host.AtRestAsync()).Left);
    }

    private FlightHost Create(Action<SingleFlightOptions>? configure, params FlightDefinition[] works)
    {
        var options = new TaskSingleFlightOptions();
        configure?.Invoke(options);
        var flights = new TaskSingleFlight(new FlightCatalog(works), Options.Create(options), _time, NullLogger<TaskSingleFlight>.Instance);
        return new FlightHost([flights], time =>
        {
            _time.Advance(time);
            return Task.CompletedTask;
        }, flights.DisposeAsync);
    }
}
