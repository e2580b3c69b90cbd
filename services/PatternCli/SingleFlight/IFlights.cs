using DistributedPatterns.Scenarios;

namespace DistributedPatterns.PatternCli.SingleFlight;

/// <summary>Where flights are asked for: here, or at a gateway.</summary>
internal interface IFlights : IAsyncDisposable
{
    Task<FlightAnswer> RunAsync(string key, SimulatedWork work, TimeSpan ttl, TimeSpan timeout, bool fails);

    Task<FlightAnswer> DigestAsync(string input);

    Task ForgetAsync(string key);
}

/// <summary>What a caller got.</summary>
/// <param name="Role">led, joined, cached or failed; late when it did not wait for the end.</param>
/// <param name="Text">What the run answered, or its error.</param>
internal sealed record FlightAnswer(string Role, string Text);
