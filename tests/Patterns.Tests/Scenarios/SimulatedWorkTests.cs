using DistributedPatterns.Scenarios;
using Microsoft.Extensions.Time.Testing;

namespace DistributedPatterns.Tests.Scenarios;

public sealed class SimulatedWorkTests
{
    [Theory]
    [InlineData("none", WorkKind.None, 0)]
    [InlineData("cpu:200us", WorkKind.Cpu, 200)]
    [InlineData("io:5ms", WorkKind.Io, 5_000)]
    [InlineData("io:60s", WorkKind.Io, 60_000_000)]
    public void TryParse_Accepted_GivesKindAndDuration(string text, WorkKind kind, int microseconds)
    {
        Assert.True(SimulatedWork.TryParse(text, out var work));
        Assert.Equal(new SimulatedWork(kind, TimeSpan.FromMicroseconds(microseconds)), work);
        Assert.True(SimulatedWork.TryParse(work.ToString(), out var again));
        Assert.Equal(work, again);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("cpu")]
    [InlineData("cpu:")]
    [InlineData("cpu:0us")]
    [InlineData("cpu:-1ms")]
    [InlineData("cpu:1.5ms")]
    [InlineData("cpu:61s")]
    [InlineData("disk:5ms")]
    [InlineData("io:5ms:6ms")]
    public void TryParse_AnythingElse_IsRefused(string? text) => Assert.False(SimulatedWork.TryParse(text, out _));

    [Fact]
    public async Task Run_Io_EndsWithTheClockAndWithTheToken()
    {
        var time = new FakeTimeProvider();
        var work = new SimulatedWork(WorkKind.Io, TimeSpan.FromMilliseconds(5));

        var running = work.RunAsync(time, TestContext.Current.CancellationToken).AsTask();
        Assert.False(running.IsCompleted);
        time.Advance(TimeSpan.FromMilliseconds(5));
        await running;

        using var stop = new CancellationTokenSource();
        running = work.RunAsync(time, stop.Token).AsTask();
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
    }

    [Fact]
    public async Task Run_Cpu_TakesAtLeastAsLong()
    {
        var since = TimeProvider.System.GetTimestamp();
        await new SimulatedWork(WorkKind.Cpu, TimeSpan.FromMilliseconds(2)).RunAsync(TimeProvider.System, TestContext.Current.CancellationToken);
        Assert.True(TimeProvider.System.GetElapsedTime(since) >= TimeSpan.FromMilliseconds(2));
    }
}
