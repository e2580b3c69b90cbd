using DistributedPatterns.Supervision;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Tests.Supervision;

/// <summary>Settings and definitions that cannot work are refused at the start, and the message says what is wrong.</summary>
public sealed class SupervisionOptionsTests
{
    [Fact]
    public Task Start_PollsTooSeldomForTheLease_IsRefused() => RefusedAsync(
        services => services.AddRedisLeaseSupervisor(options => (options.Lease, options.PollEvery) = (TimeSpan.FromSeconds(1), TimeSpan.FromMilliseconds(400))), "PollEvery");

    [Fact]
    public Task Start_FirstPauseLongerThanTheLongest_IsRefused() => RefusedAsync(
        services => services.AddTaskSupervisor(options => (options.FirstPause, options.LongestPause) = (TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(1))), "FirstPause");

    [Fact]
    public Task Start_BudgetOutOfRange_IsRefused() => RefusedAsync(services => services.AddTaskSupervisor(options => options.MaxRestarts = 1_001), "MaxRestarts");

    [Fact]
    public Task Start_HeartbeatShorterThanAChildWaits_IsRefused() => RefusedAsync(
        services => services.AddTailingChildren(options => (options.GrowEvery, options.HeartbeatLimit) = (TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1))), "HeartbeatLimit");

    [Theory]
    [InlineData("")]
    [InlineData("two words")]
    [InlineData("a:b")]
    [InlineData("12345678901234567890123456789012345678901234567890123456789012345")]
    public void Definition_OfANameThatIsNone_IsRefused(string name) =>
        Assert.Throws<ArgumentException>(() => new ChildDefinition(name, (_, _) => Task.CompletedTask));

    [Fact]
    public void Catalog_OfTwoChildrenOfOneName_IsRefused()
    {
        var child = new ChildDefinition("a", (_, _) => Task.CompletedTask);

        Assert.Contains("'a'", Assert.Throws<ArgumentException>(() => new ChildCatalog([child, child])).Message, StringComparison.Ordinal);
    }

    private static async Task RefusedAsync(Action<IServiceCollection> add, string mention)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddLogging();
        add(builder.Services);
        using var host = builder.Build();

        var refused = await Assert.ThrowsAsync<OptionsValidationException>(() => host.StartAsync(TestContext.Current.CancellationToken));

        Assert.Contains(mention, refused.Message, StringComparison.Ordinal);
    }
}
