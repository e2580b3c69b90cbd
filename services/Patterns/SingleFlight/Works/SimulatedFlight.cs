using DistributedPatterns.Payloads;
using DistributedPatterns.Scenarios;

namespace DistributedPatterns.SingleFlight.Works;

/// <summary>The work <c>simulated</c>, for load tests: it answers what no other run answers, so that who got the same shared a run.</summary>
public static class SimulatedFlight
{
    public const string Name = "simulated";

    /// <summary>Describes the work.</summary>
    /// <param name="process">What this process is called in answers.</param>
    /// <param name="time">The clock that it works by.</param>
    public static FlightDefinition<SimulatedRequest, SimulatedAnswer> Create(string process, TimeProvider time) => new(
        Name, PayloadCodec.Json(FlightWorksJson.Default.SimulatedAnswer),
        async (request, context) =>
        {
            await request.Work.RunAsync(time, context.Token).ConfigureAwait(false);
            return request.Fails
                ? throw new InvalidOperationException($"it was asked to fail, run {Guid.NewGuid():N}")
                : new SimulatedAnswer($"{Guid.NewGuid():N}", process);
        });
}

/// <summary>What a run is to do.</summary>
/// <param name="Fails">Whether it throws in the end.</param>
public sealed record SimulatedRequest(SimulatedWork Work, bool Fails = false);

/// <summary>What a run answers.</summary>
/// <param name="Run">Different for each run.</param>
/// <param name="Process">Where it ran.</param>
public sealed record SimulatedAnswer(string Run, string Process);
