using Microsoft.Extensions.Configuration;

namespace DistributedPatterns.Tests;

public sealed class SettingsTests
{
    [Fact]
    public void TryRead_Nothing_GivesTheDefaults()
    {
        Assert.Null(Read(null, null, out var settings));
        Assert.Equal(new(5080, 1, 1, 3, 2, null, false, null), settings);
    }

    [Fact]
    public void TryRead_ChaosToken_IsTaken()
    {
        Assert.Null(Read("Chaos:Token", "break-it", out var settings));
        Assert.Equal("break-it", settings.ChaosToken);
    }

    [Theory]
    [InlineData("Worker:Replicas", "-1", "from 1 to 16")]
    [InlineData("Worker:Replicas", "0", "from 1 to 16")]
    [InlineData("Reducer:Replicas", "abc", "from 1 to 16")]
    [InlineData("Producer:Replicas", "1.5", "from 1 to 16")]
    [InlineData("Gateway:Replicas", "99999999999", "from 1 to 16")]
    [InlineData("Gateway:Port", "65536", "from 0 to 65535")]
    [InlineData("Redis:Persist", "yes", "true or false")]
    public void TryRead_WrongValue_NamesKeyValueAndChoices(string key, string value, string choices)
    {
        var mistake = Read(key, value, out _);

        Assert.Contains($"{key} is '{value}'", mistake, StringComparison.Ordinal);
        Assert.Contains(choices, mistake, StringComparison.Ordinal);
    }

    private static string? Read(string? key, string? value, out Settings settings)
    {
        var configuration = new ConfigurationBuilder();
        if (key is not null)
        {
            configuration.AddInMemoryCollection([new(key, value)]);
        }

        return Settings.TryRead(configuration.Build(), out settings);
    }
}
