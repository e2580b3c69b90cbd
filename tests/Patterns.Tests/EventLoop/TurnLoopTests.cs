using System.Collections.Concurrent;
using DistributedPatterns.EventLoop;
using DistributedPatterns.Tests.Pipeline;
using DistributedPatterns.Tests.Support;

namespace DistributedPatterns.Tests.EventLoop;

/// <summary>The bare loop: turns never overlap, sources have theirs by weight, timers are turns, and a stop leaves nothing behind.</summary>
public sealed class TurnLoopTests
{
    private const int HangLimit = 60_000;

    private readonly ManualTime _time = new();
    private readonly ManualResetEventSlim _gate = new();
    private readonly ManualResetEventSlim _begun = new();

    private static CancellationToken TestStop => TestContext.Current.CancellationToken;

    [Fact(Timeout = HangLimit)]
    public async Task Turns_OfManyPostersAndSources_NeverOverlapAndKeepTheOrderOfEach()
    {
        const int Posters = 8;
        const int Each = 20_000;
        var (inTurn, overlaps, last) = (0, 0, new int[Posters]);
        var loop = new TurnLoop<(int Poster, int Number)>(e =>
        {
            if (Interlocked.Increment(ref inTurn) != 1) overlaps++;
            if (last[e.Poster] != e.Number - 1) overlaps++;
            last[e.Poster] = e.Number;
            Interlocked.Decrement(ref inTurn);
        }, static (_, error) => throw error, TimeProvider.System);
        TurnSource<(int, int)>[] sources = [loop.AddSource(64, 3), loop.AddSource(1_000)];

        await Task.WhenAll(Enumerable.Range(0, Posters).Select(poster => Task.Run(async () =>
        {
            for (var i = 1; i <= Each; i++) await sources[poster % 2].PostAsync((poster, i), TestStop);
        }, TestStop)));
        var left = await loop.StopAsync(TimeSpan.FromSeconds(30));

        Assert.Equal((0, 0), (left, overlaps));
        Assert.All(last, number => Assert.Equal(Each, number));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Sources_HaveTurnsByWeight()
    {
        var order = new ConcurrentQueue<char>();
        await using var loop = new TurnLoop<char>(e =>
        {
            if (e == '!')
            {
                _begun.Set();
                _gate.Wait(TestStop);
            }
            else
            {
                order.Enqueue(e);
            }
        }, static (_, error) => throw error, _time);
        var (heavy, light) = (loop.AddSource(100, weight: 3), loop.AddSource(100));
        heavy.TryPost('!'); // holds the loop up until both have events
        _begun.Wait(TestStop);
        for (var i = 0; i < 9; i++) heavy.TryPost('h');
        for (var i = 0; i < 9; i++) light.TryPost('l');
        _gate.Set();

        await Eventually.TrueAsync(() => order.Count == 18, TimeSpan.FromSeconds(20), () => string.Concat(order));
        // The event that held it up was one of a round of its own or of three.
        var turns = string.Concat(order);
        Assert.Contains("lhhhlhhhl", turns, StringComparison.Ordinal);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Post_WithoutRoom_WaitsInOrder_AndLeavesWithItsToken()
    {
        var seen = new ConcurrentQueue<int>();
        await using var loop = new TurnLoop<int>(e =>
        {
            if (e == 0) _gate.Wait(TestStop);
            seen.Enqueue(e);
        }, static (_, error) => throw error, _time);
        var source = loop.AddSource(2);
        Assert.True(source.TryPost(0) && source.TryPost(1)); // one has its turn, and counts
        Assert.False(source.TryPost(2));
        using var leave = new CancellationTokenSource();

        var (second, third, left) = (source.PostAsync(2, TestStop).AsTask(), source.PostAsync(3, TestStop).AsTask(), source.PostAsync([4], leave.Token).AsTask());
        await leave.CancelAsync();
        Assert.Equal(leave.Token, (await Assert.ThrowsAnyAsync<OperationCanceledException>(() => left)).CancellationToken);
        Assert.Equal((false, false, 2), (second.IsCompleted, third.IsCompleted, source.Count));
        _gate.Set();
        await second;
        await third;

        await Eventually.TrueAsync(() => seen.Count == 4, TimeSpan.FromSeconds(20), () => string.Join(' ', seen));
        Assert.Equal([0, 1, 2, 3], seen);
        await Eventually.TrueAsync(() => source.Count == 0, TimeSpan.FromSeconds(20), () => $"{source.Count} wait");
    }

    [Fact(Timeout = HangLimit)]
    public async Task Post_OfManyThatDoNotFit_TakesNoneOfThem()
    {
        await using var loop = new TurnLoop<int>(_ => _gate.Wait(TestStop), static (_, error) => throw error, _time);
        var source = loop.AddSource(3);

        Assert.False(source.TryPost([1, 2, 3, 4], out _));
        Assert.True(source.TryPost([1, 2], out var posted));
        Assert.False(source.TryPost([3, 4], out _));

        Assert.Equal((2, 2), (posted, source.Count));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await source.PostAsync([1, 2, 3, 4], TestStop));
        _gate.Set();
    }

    [Fact(Timeout = HangLimit)]
    public async Task Timers_HaveTheirTurnsInOrderOfTheirTime_AndNoneOnceCancelled()
    {
        var seen = new ConcurrentQueue<string>();
        await using var loop = new TurnLoop<string>(seen.Enqueue, static (_, error) => throw error, _time);
        loop.After(TimeSpan.FromSeconds(3), "c");
        loop.After(TimeSpan.FromSeconds(1), "a");
        loop.After(TimeSpan.FromSeconds(2), "never").Dispose();
        loop.After(TimeSpan.FromSeconds(2), "b");

        _time.Advance(TimeSpan.FromSeconds(0.9));
        Assert.Empty(seen);
        _time.Advance(TimeSpan.FromSeconds(0.1));
        await SeenAsync("a");
        await SeenAsync("a b c", passing: true);

        async Task SeenAsync(string what, bool passing = false) => await Eventually.TrueAsync(
            () =>
            {
                if (passing) _time.Advance(TimeSpan.FromSeconds(1)); // the loop may not have set its alarm yet, and sets it from then on
                return string.Join(' ', seen) == what;
            }, TimeSpan.FromSeconds(20), () => string.Join(' ', seen));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Error_OfATurn_IsToldAndTheLoopGoesOn()
    {
        var (seen, errors) = (new ConcurrentQueue<int>(), new ConcurrentQueue<(int, string)>());
        await using var loop = new TurnLoop<int>(
            e => seen.Enqueue(e % 3 == 0 ? throw new InvalidOperationException("three") : e), (e, error) => errors.Enqueue((e, error.Message)), _time);
        var source = loop.AddSource(100);

        source.TryPost([1, 2, 3, 4, 5, 6, 7], out _);

        await Eventually.TrueAsync(() => seen.Count + errors.Count == 7, TimeSpan.FromSeconds(20), () => string.Join(' ', seen));
        Assert.Equal([1, 2, 4, 5, 7], seen);
        Assert.Equal([(3, "three"), (6, "three")], errors);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Timings_TellLagAndTurns()
    {
        var timings = new Timings();
        await using var loop = new TurnLoop<int>(e =>
        {
            if (e == 0)
            {
                _begun.Set();
                _gate.Wait(TestStop);
            }
            else
            {
                _time.Advance(TimeSpan.FromMilliseconds(e));
            }
        }, static (_, error) => throw error, _time, timings);
        var source = loop.AddSource(10);
        source.TryPost(0);
        _begun.Wait(TestStop);
        source.TryPost(7);
        _time.Advance(TimeSpan.FromSeconds(2));
        _gate.Set();

        await Eventually.TrueAsync(() => timings.Turns.Count == 2, TimeSpan.FromSeconds(20), () => "they do not end");
        Assert.Equal([TimeSpan.Zero, TimeSpan.FromSeconds(2)], timings.Lags);
        Assert.Equal([(0, TimeSpan.FromSeconds(2)), (7, TimeSpan.FromMilliseconds(7))], timings.Turns);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Stop_WhileSomebodyWaitsForRoom_TellsHim()
    {
        var loop = new TurnLoop<int>(_ => _gate.Wait(TestStop), static (_, error) => throw error, TimeProvider.System);
        var source = loop.AddSource(1);
        source.TryPost(0);
        var waiting = source.PostAsync(1, TestStop).AsTask();

        var stopping = loop.StopAsync(TimeSpan.FromSeconds(30));
        await Assert.ThrowsAsync<EventLoopStoppedException>(() => waiting);
        _gate.Set();

        Assert.Equal(0, await stopping);
        Assert.Throws<EventLoopStoppedException>(() => source.TryPost(2));
    }

    private sealed class Timings : ITurnTimings<int>
    {
        public ConcurrentQueue<TimeSpan> Lags { get; } = new();

        public ConcurrentQueue<(int, TimeSpan)> Turns { get; } = new();

        public void Waited(TimeSpan lag) => Lags.Enqueue(lag);

        public void Took(int e, TimeSpan turn) => Turns.Enqueue((e, turn));
    }
}
