using DistributedPatterns.Supervision;
using Microsoft.Extensions.Time.Testing;

namespace DistributedPatterns.Tests.Supervision;

/// <summary>The policy that supervisors and the AppHost share.</summary>
public sealed class RestartPolicyTests
{
    private readonly FakeTimeProvider _time = new();
    private readonly RestartPolicy _policy = new();

    [Fact]
    public void TrySpend_MoreThanTheLimitInTheWindow_IsRefused()
    {
        var budget = new RestartBudget(_policy, _time);

        for (var left = _policy.MaxRestarts; left > 0; left--)
        {
            Assert.Equal(left, budget.Left);
            Assert.True(budget.TrySpend());
        }

        Assert.False(budget.TrySpend());
        Assert.Equal((_policy.MaxRestarts, 0), (budget.Spent, budget.Left));
    }

    [Fact]
    public void TrySpend_OldestLeftTheWindow_IsGrantedAgainOnce()
    {
        var budget = new RestartBudget(_policy, _time);
        budget.TrySpend();
        _time.Advance(TimeSpan.FromSeconds(1));
        while (budget.TrySpend())
        {
        }

        _time.Advance(_policy.Within - TimeSpan.FromSeconds(1));

        Assert.True(budget.TrySpend());
        Assert.False(budget.TrySpend());
    }

    [Fact]
    public void TrySpend_WithNoRestartsAllowed_IsRefused() => Assert.False(new RestartBudget(new RestartPolicy { MaxRestarts = 0 }, _time).TrySpend());

    [Fact]
    public void Next_FailuresInARow_DoubleUpToTheLongestPause()
    {
        _policy.LongestPause = TimeSpan.FromSeconds(5);
        var backoff = new RestartBackoff(_policy, _time, () => 1);

        Assert.Equal([0.5, 1, 2, 4, 5, 5], Enumerable.Range(0, 6).Select(_ => backoff.Next().TotalSeconds));
    }

    [Fact]
    public void Next_AfterItRanStable_BeginsWithTheFirstPause()
    {
        var backoff = new RestartBackoff(_policy, _time, () => 1);
        backoff.Next();
        backoff.Next();

        backoff.Started();
        _time.Advance(_policy.StableAfter - TimeSpan.FromTicks(1));
        Assert.Equal(2, backoff.Next().TotalSeconds);

        backoff.Started();
        _time.Advance(_policy.StableAfter);
        Assert.Equal(0.5, backoff.Next().TotalSeconds);
    }

    [Fact]
    public void Next_OfWhatNeverCameToRun_CountsAsAFailureHoweverLongItTook()
    {
        var backoff = new RestartBackoff(_policy, _time, () => 1);
        backoff.Started();
        backoff.Next();
        _time.Advance(_policy.StableAfter);

        Assert.Equal(1, backoff.Next().TotalSeconds);
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(0.5, 0.25)]
    [InlineData(1, 0.5)]
    public void PauseAfter_Jitter_CoversTheWholePause(double jitter, double seconds) =>
        Assert.Equal(seconds, _policy.PauseAfter(1, jitter).TotalSeconds);

    [Fact]
    public void PauseAfter_MoreFailuresThanAPowerCanHold_IsTheLongestPauseOrNone()
    {
        Assert.Equal(_policy.LongestPause, _policy.PauseAfter(int.MaxValue, 1));
        _policy.FirstPause = TimeSpan.Zero;
        Assert.Equal(TimeSpan.Zero, _policy.PauseAfter(int.MaxValue, 1));
    }
}
