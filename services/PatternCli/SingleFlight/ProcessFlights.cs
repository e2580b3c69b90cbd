using DistributedPatterns.Diagnostics;
using DistributedPatterns.MapReduce;
using DistributedPatterns.Scenarios;
using DistributedPatterns.SingleFlight;
using DistributedPatterns.SingleFlight.Works;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace DistributedPatterns.PatternCli.SingleFlight;

/// <summary>Flights inside this program.</summary>
internal sealed class ProcessFlights : IFlights
{
    private readonly ServiceProvider _services = new ServiceCollection()
        .AddLogging()
        .AddSingleton<IConfiguration>(new ConfigurationBuilder().AddEnvironmentVariables().Build())
        .AddFlightScenarios()
        .AddTaskSingleFlight()
        .BuildServiceProvider();

    private ISingleFlight Flights => _services.GetRequiredKeyedService<ISingleFlight>(Variants.Channel);

    public async Task<FlightAnswer> RunAsync(string key, SimulatedWork work, TimeSpan ttl, TimeSpan timeout, bool fails)
    {
        try
        {
            var result = await Flights.RunAsync<SimulatedRequest, SimulatedAnswer>(
                SimulatedFlight.Name, key, new SimulatedRequest(work, fails), new FlightCall { Ttl = ttl, WaitLimit = timeout });
            return new FlightAnswer(NameOf(result.Role), result.Value.Run);
        }
        catch (FlightFailedException failed)
        {
            return new FlightAnswer("failed", failed.Message);
        }
        catch (FlightTimeoutException late)
        {
            return new FlightAnswer("late", late.Message);
        }
    }

    public async Task<FlightAnswer> DigestAsync(string input)
    {
        try
        {
            var key = FileDigest.KeyOf(_services.GetRequiredService<MapReduceInputs>(), input);
            var result = await Flights.RunAsync<string, DigestReply>(FileDigest.Name, key, input);
            return new FlightAnswer(NameOf(result.Role), result.Value.Sha256);
        }
        catch (MapReduceInputException error)
        {
            throw new BadUsageException(error.Message);
        }
    }

    public Task ForgetAsync(string key) => Flights.ForgetAsync(SimulatedFlight.Name, key).AsTask();

    public ValueTask DisposeAsync() => _services.DisposeAsync();

    private static string NameOf(FlightRole role) => role.ToString().ToLowerInvariant();
}
