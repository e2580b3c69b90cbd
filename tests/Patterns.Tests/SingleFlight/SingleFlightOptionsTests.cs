using DistributedPatterns.SingleFlight;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Tests.SingleFlight;

/// <summary>Options that make no sense are refused, and say what would.</summary>
public sealed class SingleFlightOptionsTests
{
    [Theory]
    [InlineData("Lease", "00:00:00.1", "Lease")]
    [InlineData("PollEvery", "00:00:02", "a third of Lease")]
    [InlineData("KeyTag", "a{b}", "KeyTag")]
    [InlineData("MaxFlights", "0", "MaxFlights")]
    [InlineData("MaxResultBytes", "2000000", "MaxResultBytes")]
    public void Redis_OutOfRange_IsRefused(string name, string value, string mention) =>
        Assert.Contains(mention, Refuse<RedisSingleFlightOptions>(services => services.AddRedisSingleFlight(), $"Patterns:SingleFlight:Redis:{name}", value), StringComparison.Ordinal);

    [Theory]
    [InlineData("MaxKept", "-1", "MaxKept")]
    [InlineData("DrainLimit", "00:02:00", "DrainLimit")]
    public void Channel_OutOfRange_IsRefused(string name, string value, string mention) =>
        Assert.Contains(mention, Refuse<TaskSingleFlightOptions>(services => services.AddTaskSingleFlight(), $"Patterns:SingleFlight:Channel:{name}", value), StringComparison.Ordinal);

    [Theory]
    [InlineData("")]
    [InlineData("a:b")]
    [InlineData("a b")]
    public void Work_WithANameThatIsNone_IsRefused(string name) =>
        Assert.Throws<ArgumentException>(() => new FlightDefinition<int, string>(name, DistributedPatterns.Payloads.PayloadCodec.Utf8, static (_, _) => new("")));

    [Fact]
    public void Works_OfTheSameName_AreRefused() =>
        Assert.Throws<ArgumentException>(() => new FlightCatalog([new TestWork().Definition, new TestWork().Definition]));

    private static string Refuse<T>(Action<IServiceCollection> add, string name, string value) where T : class
    {
        var services = new ServiceCollection().AddSingleton<IConfiguration>(new ConfigurationBuilder().AddInMemoryCollection([new(name, value)]).Build());
        add(services);
        using var provider = services.BuildServiceProvider();
        return Assert.Throws<OptionsValidationException>(() => provider.GetRequiredService<IOptions<T>>().Value).Message;
    }
}
