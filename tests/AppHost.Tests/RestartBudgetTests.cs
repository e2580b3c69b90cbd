using Microsoft.Extensions.Time.Testing;

namespace DistributedPatterns.Tests;

public sealed class RestartBudgetTests
{
    private readonly FakeTimeProvider _time = new();

    [Fact]
    public void Spend_MoreThanTheLimitInTheWindow_IsRefused()
    {
        var budget = new RestartBudget(_time);

        for (var i = 0; i < RestartBudget.Restarts; i++)
        {
            Assert.NotNull(budget.Spend());
        }

        Assert.Null(budget.Spend());
    }

    [Fact]
    public void Spend_OldestLeftTheWindow_IsGrantedAgainOnce()
    {
        var budget = new RestartBudget(_time);
        budget.Spend();
        _time.Advance(TimeSpan.FromSeconds(1));
        while (budget.Spend() is not null)
        {
        }

        _time.Advance(RestartBudget.Window - TimeSpan.FromSeconds(1));

        Assert.NotNull(budget.Spend());
        Assert.Null(budget.Spend());
    }

    [Fact]
    public void Spend_InARow_PausesDoubleAndFallBackWithTime()
    {
        var budget = new RestartBudget(_time, () => 1);

        var pauses = Enumerable.Range(0, RestartBudget.Restarts).Select(_ => budget.Spend()!.Value.TotalSeconds).ToList();
        _time.Advance(RestartBudget.Window);

        Assert.Equal([0.5, 1, 2, 4, 8], pauses);
        Assert.Equal(0.5, budget.Spend()!.Value.TotalSeconds);
    }

    [Fact]
    public void Spend_Jitter_CoversTheWholePause()
    {
        Assert.Equal(TimeSpan.Zero, new RestartBudget(_time, () => 0).Spend());
        Assert.Equal(TimeSpan.FromSeconds(0.25), new RestartBudget(_time, () => 0.5).Spend());
    }
}
