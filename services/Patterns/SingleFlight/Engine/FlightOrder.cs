using System.Diagnostics;

namespace DistributedPatterns.SingleFlight.Engine;

/// <summary>What a flight is to do.</summary>
/// <param name="Parent">The trace of the call that started it.</param>
/// <param name="Gone">Cancelled when its last caller in this process has left, and when the process stops.</param>
internal sealed record FlightOrder<TIn, TOut>(FlightDefinition<TIn, TOut> Work, string Key, TIn Input, TimeSpan Ttl, ActivityContext Parent, CancellationToken Gone)
{
    public FlightFailedException Failed(FlightRole role, Exception error) => new(Work.Name, Key, role, error.GetType().Name, error.Message, error);
}

/// <summary>Brings flights to their end: here is all that the variants differ in.</summary>
internal interface IFlightPilot
{
    /// <summary>Gets whether results are kept in this process.</summary>
    bool KeepsResults { get; }

    Task<Landing<TOut>> FlyAsync<TIn, TOut>(FlightOrder<TIn, TOut> order);
}
