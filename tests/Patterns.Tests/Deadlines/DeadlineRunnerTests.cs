using DistributedPatterns.Deadlines;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Time.Testing;

namespace DistributedPatterns.Tests.Deadlines;

/// <summary><see cref="DeadlineRunner"/> on a clock that moves when the test says so.</summary>
public sealed class DeadlineRunnerTests : IAsyncDisposable
{
    private const int HangLimit = 60_000;

    private readonly FakeTimeProvider _time = new();
    private readonly DeadlineRunner _runner;

    public DeadlineRunnerTests() => _runner = NewRunner(new DeadlineOptions { MaxDetached = 2 });

    private static CancellationToken TestStop => TestContext.Current.CancellationToken;

    public ValueTask DisposeAsync()
    {
        _time.AutoAdvanceAmount = TimeSpan.FromMilliseconds(1); // a grace has to end
        return _runner.DisposeAsync();
    }

    [Fact]
    public void Deadline_CountsDownAndStaysPassed()
    {
        var deadline = _runner.After(TimeSpan.FromSeconds(2));

        Assert.Equal(TimeSpan.FromSeconds(2), deadline.Remaining);
        _time.Advance(TimeSpan.FromMilliseconds(1_999));
        Assert.Equal((TimeSpan.FromMilliseconds(1), false), (deadline.Remaining, deadline.HasPassed));
        _time.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Equal((TimeSpan.Zero, true), (deadline.Remaining, deadline.HasPassed));
        _time.Advance(TimeSpan.FromDays(1));
        Assert.Equal((TimeSpan.Zero, TimeSpan.FromSeconds(2)), (deadline.Remaining, deadline.Budget));
    }

    [Fact]
    public void Deadline_IsShortenedNeverLengthened()
    {
        var (soon, late) = (_runner.After(TimeSpan.FromSeconds(1)), _runner.After(TimeSpan.FromSeconds(2)));

        Assert.Equal(soon, soon.OrEarlier(late));
        Assert.Equal(soon, late.OrEarlier(soon));
        Assert.Equal(soon, Deadline.None.OrEarlier(soon));
        Assert.Equal(soon, soon.OrEarlier(Deadline.None));
        Assert.True(Deadline.After(TimeSpan.MaxValue, _time).IsNone);
        Assert.True(Deadline.After(TimeSpan.MinValue, _time).HasPassed);
        Assert.False(Deadline.None.HasPassed);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_UntilTheDeadline_IsCancelledThenAndNotBefore()
    {
        var run = HoldAsync(_runner.After(TimeSpan.FromMilliseconds(100)));

        _time.Advance(TimeSpan.FromMilliseconds(99));
        Assert.False(run.IsCompleted);
        _time.Advance(TimeSpan.FromMilliseconds(1));

        await Assert.ThrowsAsync<DeadlineExceededException>(() => run);
    }

    // One scope serves these runs one after the other; its timer is left as it is where it is early enough.
    [Fact(Timeout = HangLimit)]
    public async Task Run_AfterARunWithAnotherDeadline_KeepsItsOwn()
    {
        await _runner.RunAsync(_runner.After(TimeSpan.FromSeconds(10)), 0, static (_, _) => new ValueTask<int>(0), TestStop);
        var shorter = HoldAsync(_runner.After(TimeSpan.FromSeconds(1)));
        _time.Advance(TimeSpan.FromSeconds(1));
        await Assert.ThrowsAsync<DeadlineExceededException>(() => shorter);

        await _runner.RunAsync(_runner.After(TimeSpan.FromSeconds(1)), 0, static (_, _) => new ValueTask<int>(0), TestStop);
        var longer = HoldAsync(_runner.After(TimeSpan.FromSeconds(5)));
        _time.Advance(TimeSpan.FromSeconds(1));
        _time.Advance(TimeSpan.FromSeconds(3.9));
        Assert.False(longer.IsCompleted);
        _time.Advance(TimeSpan.FromSeconds(0.1));
        await Assert.ThrowsAsync<DeadlineExceededException>(() => longer);

        var without = HoldAsync(Deadline.None);
        _time.Advance(TimeSpan.FromDays(100));
        Assert.False(without.IsCompleted);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_OfACallerThatLeavesLater_DoesNotReachTheNextRun()
    {
        using var first = new CancellationTokenSource();
        await _runner.RunAsync(Deadline.None, 0, static (_, _) => new ValueTask<int>(0), first.Token);
        var second = HoldAsync(Deadline.None);

        await first.CancelAsync();

        Assert.False(second.IsCompleted);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_OfTheSameCallerAgain_IsCancelledWhenItLeaves()
    {
        using var caller = new CancellationTokenSource();
        for (var i = 0; i < 3; i++) await _runner.RunAsync(Deadline.None, 0, static (_, _) => new ValueTask<int>(0), caller.Token);
        var run = _runner.RunAsync(Deadline.None, _time, HoldAsync, caller.Token).AsTask();

        await caller.CancelAsync();

        var error = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => run);
        Assert.Equal(caller.Token, error.CancellationToken);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await _runner.RunAsync(Deadline.None, 0, static (_, _) => new ValueTask<int>(0), caller.Token));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_ThatIgnoresItsToken_IsLeftBehindAfterTheGraceAndCountedUntilItEnds()
    {
        var gate = new TaskCompletionSource<int>();
        var run = _runner.RunAsync(_runner.After(TimeSpan.FromSeconds(1)), gate, static (gate, _) => new ValueTask<int>(gate.Task), TestStop).AsTask();

        _time.Advance(TimeSpan.FromSeconds(1));
        await UntilAsync(() =>
        {
            _time.Advance(TimeSpan.FromMilliseconds(5));
            return run.IsCompleted;
        });

        await Assert.ThrowsAsync<DeadlineExceededException>(() => run);
        Assert.Equal(1, _runner.LeftBehind);
        Assert.True(_runner.Overruns is { Count: 1 } overruns && overruns.Worst >= new DeadlineOptions().Grace, _runner.Overruns.ToString());
        gate.SetResult(1);
        await UntilAsync(() => _runner.LeftBehind == 0);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_WhoseWorkThrowsAtOnce_Throws()
    {
        var error = await Assert.ThrowsAsync<InvalidOperationException>(
            async () => await _runner.RunAsync<int, int>(Deadline.None, 0, static (_, _) => throw new InvalidOperationException("at once"), TestStop));

        Assert.Equal("at once", error.Message);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Detach_GoesOnWithoutItsCallerUntilItsOwnBudgetIsSpent()
    {
        var outer = _runner.After(TimeSpan.FromMilliseconds(10));
        var seen = new TaskCompletionSource<Deadline>();
        Task? detached = null;
        await _runner.RunAsync(outer, 0, (_, _) =>
        {
            detached = _runner.Detach("clean-up", TimeSpan.FromSeconds(5), async token =>
            {
                seen.SetResult(AmbientDeadline.Current);
                await Task.Delay(Timeout.InfiniteTimeSpan, _time, token);
            });
            return new ValueTask<int>(0);
        }, TestStop);

        Assert.Equal(TimeSpan.FromSeconds(5), (await seen.Task).Budget);
        _time.Advance(TimeSpan.FromSeconds(4.9));
        Assert.Equal((false, 1), (detached!.IsCompleted, _runner.Detached));
        _time.Advance(TimeSpan.FromSeconds(0.1));
        await detached;
        Assert.Equal(0, _runner.Detached);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Detach_OfMoreThanMaxDetached_IsRefusedAndDisposeCancelsTheRest()
    {
        var runner = NewRunner(new DeadlineOptions { MaxDetached = 2 });
        var tasks = Enumerable.Range(0, 2).Select(_ => runner.Detach("wait", TimeSpan.FromHours(1), async token => await Task.Delay(Timeout.InfiniteTimeSpan, _time, token))).ToArray();

        var error = Assert.Throws<InvalidOperationException>(() => { _ = runner.Detach("wait", TimeSpan.FromHours(1), _ => default); });
        await runner.DisposeAsync();

        Assert.Contains("2 of 2", error.Message, StringComparison.Ordinal);
        await Task.WhenAll(tasks);
    }

    [Fact]
    public void Run_ThatEndsAtOnce_AllocatesNothing()
    {
        using var caller = new CancellationTokenSource();
        for (var i = 0; i < 1_000; i++) Run();
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1_000; i++) Run();

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);

        void Run()
        {
            var run = _runner.RunAsync(_runner.After(TimeSpan.FromSeconds(1)), 1, static (one, token) => new ValueTask<int>(token.CanBeCanceled ? one : 0), caller.Token);
            if (run is not { IsCompletedSuccessfully: true, Result: 1 }) throw new InvalidOperationException("It did not end at once.");
        }
    }

    // Scopes go from run to run on all threads: no cancellation may follow them.
    [Fact(Timeout = HangLimit)]
    public async Task Run_BesideRunsThatAreCancelled_IsNeverCancelledItself()
    {
        await using var runner = new DeadlineRunner(Options.Create(new DeadlineOptions { Grace = TimeSpan.FromSeconds(30) }), TimeProvider.System, NullLogger<DeadlineRunner>.Instance);
        var (spared, ended) = (0, 0);
        await Task.WhenAll(Enumerable.Range(0, 8).Select(worker => Task.Run(async () =>
        {
            var random = new Random(worker);
            for (var i = 0; i < 2_000; i++)
            {
                if (i % 2 == 0)
                {
                    await runner.RunAsync(runner.After(TimeSpan.FromHours(1)), 0, async (_, token) =>
                    {
                        await Task.Yield();
                        token.ThrowIfCancellationRequested();
                        return 0;
                    }, TestStop);
                    Interlocked.Increment(ref spared);
                    continue;
                }
                using var caller = new CancellationTokenSource();
                var run = runner.RunAsync(runner.After(TimeSpan.FromMicroseconds(random.Next(1, 3_000))), 0, async (_, token) =>
                {
                    await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, token);
                    return 0;
                }, caller.Token);
                if (random.Next(2) == 0) await caller.CancelAsync();
                try
                {
                    await run;
                }
                catch (Exception error) when (error is DeadlineExceededException || (error is OperationCanceledException left && left.CancellationToken == caller.Token))
                {
                    Interlocked.Increment(ref ended);
                }
            }
        }, TestStop)));

        Assert.Equal((8_000, 8_000), (spared, ended));
    }

    private static async Task UntilAsync(Func<bool> condition)
    {
        while (!condition())
        {
            TestStop.ThrowIfCancellationRequested();
            await Task.Yield();
        }
    }

    private static async ValueTask<int> HoldAsync(FakeTimeProvider time, CancellationToken token)
    {
        await Task.Delay(Timeout.InfiniteTimeSpan, time, token);
        return 0;
    }

    private Task<int> HoldAsync(Deadline deadline) => _runner.RunAsync(deadline, _time, HoldAsync, TestStop).AsTask();

    private DeadlineRunner NewRunner(DeadlineOptions options) => new(Options.Create(options), _time, NullLogger<DeadlineRunner>.Instance);
}
