using System.Diagnostics;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.ProducerConsumer;
using DistributedPatterns.ProducerConsumer.Feeds;
using DistributedPatterns.Tests.Support;

namespace DistributedPatterns.Tests.ProducerConsumer;

/// <summary>What feeds promise, whether producer and consumer share a process or not.</summary>
public abstract class FeedConformance
{
    private protected const int HangLimit = 60_000;

    private const int Fast = FeedOrder.MaxPerSecond;

    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(30);

    private protected static CancellationToken TestStop => TestContext.Current.CancellationToken;

    private protected abstract Task<FeedSystem> CreateAsync(params (string Name, string Value)[] settings);

    [Fact(Timeout = HangLimit)]
    public async Task Run_OfRecords_GivesWhatAPlainReadGives()
    {
        await using var system = await CreateAsync();
        await system.AddProducerAsync();
        await system.AddConsumerAsync();
        await system.AddConsumerAsync();

        await system.Runs.StartAsync("all", new FeedOrder(FeedOrder.MaxCount, Fast), TestStop);
        var end = await system.Runs.WaitAsync("all", TestStop);

        Assert.Equal((FeedState.Done, FeedOrder.MaxCount, FeedOrder.MaxCount, 1), (end!.State, end.Produced, end.Consumed, end.Attempts));
        Assert.Equal(PlainRead(FeedOrder.MaxCount), end.ByCategory!);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_AtARate_IsNotFaster()
    {
        await using var system = await CreateAsync();
        await system.AddProducerAsync();
        await system.AddConsumerAsync();
        var clock = Stopwatch.StartNew();

        await system.Runs.StartAsync("paced", new FeedOrder(40, 20), TestStop);
        var end = await system.Runs.WaitAsync("paced", TestStop);

        Assert.Equal((FeedState.Done, 40), (end!.State, end.Consumed));
        Assert.InRange(clock.Elapsed, TimeSpan.FromSeconds(1.9), s_limit); // the first goes at once, and a timer may end early by a tick
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_NobodyConsumes_HoldsTheProducerBackUntilSomebodyDoes()
    {
        await using var system = await CreateAsync(("Patterns:ProducerConsumer:feed-records:Capacity", "600"));
        await system.AddProducerAsync();
        await system.Runs.StartAsync("held", new FeedOrder(5_000, Fast), TestStop);

        await Eventually.TrueAsync(async () => (await system.Records.LedgerAsync(TestStop)).Ready == 600, s_limit, () => "the queue is not full");
        var held = await system.Runs.FindAsync("held", TestStop);
        Assert.Equal((FeedState.Producing, 0), (held!.State, held.Consumed));
        Assert.InRange(held.Produced, 0, 600);
        await system.AddConsumerAsync();

        Assert.Equal((FeedState.Done, 5_000), ((await system.Runs.WaitAsync("held", TestStop))!.State, (await system.Runs.FindAsync("held", TestStop))!.Consumed));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_NoProducerIsThere_WaitsForOne()
    {
        await using var system = await CreateAsync();
        await system.AddConsumerAsync();

        var waiting = await system.Runs.StartAsync("early", new FeedOrder(10, Fast), TestStop);
        Assert.Equal((FeedState.Waiting, 0), (waiting.State, waiting.Produced));
        await system.AddProducerAsync();

        Assert.Equal(FeedState.Done, (await system.Runs.WaitAsync("early", TestStop))!.State);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Start_TheSameIdAgain_RunsOnce()
    {
        await using var system = await CreateAsync();
        await system.AddProducerAsync();
        await system.AddConsumerAsync();

        await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => system.Runs.StartAsync("once", new FeedOrder(100, Fast), TestStop)));
        var end = await system.Runs.WaitAsync("once", TestStop);

        Assert.Equal((FeedState.Done, 100, 1), (end!.State, end.Consumed, end.Attempts));
        Assert.Equal(100, (await system.Records.LedgerAsync(TestStop)).In);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Cancel_InMidRun_EndsItWhereItIs()
    {
        await using var system = await CreateAsync();
        await system.AddProducerAsync();
        await system.AddConsumerAsync();
        await system.Runs.StartAsync("long", new FeedOrder(FeedOrder.MaxCount, 100), TestStop);
        await Eventually.TrueAsync(async () => (await system.Runs.FindAsync("long", TestStop))!.Consumed > 0, s_limit, () => "nothing is consumed");

        Assert.Equal(CancelOutcome.Requested, await system.Runs.CancelAsync("long", TestStop));
        var end = await system.Runs.WaitAsync("long", TestStop);

        Assert.Equal(FeedState.Cancelled, end!.State);
        Assert.InRange(end.Produced, 1, FeedOrder.MaxCount - 1);
        await Eventually.TrueAsync(async () => await system.Runs.FindAsync("long", TestStop) is { } now && now.Consumed == now.Produced, s_limit, () => "what was produced is not consumed");
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_ProducersStopOneAfterTheOther_GoesOnWhereTheyWere()
    {
        await using var system = await CreateAsync();
        await system.AddConsumerAsync();
        var producer = await system.AddProducerAsync();
        await system.Runs.StartAsync("handed-on", new FeedOrder(900, 600), TestStop);

        foreach (var until in (int[])[200, 400])
        {
            await Eventually.TrueAsync(async () => (await system.Runs.FindAsync("handed-on", TestStop))!.Produced >= until, s_limit, () => $"{until} are not produced");
            await producer.StopAsync(TestStop);
            producer = await system.AddProducerAsync();
        }
        var end = await system.Runs.WaitAsync("handed-on", TestStop);

        Assert.Equal((FeedState.Done, 900, 900), (end!.State, end.Produced, end.Consumed));
        Assert.Equal(PlainRead(900), end.ByCategory!);
        Assert.Equal(900, (await system.Records.LedgerAsync(TestStop)).In); // what was enqueued again added nothing
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_ARecordThatNobodyCanConsume_IsMissedNotWaitedFor()
    {
        await using var system = await CreateAsync();
        await system.AddProducerAsync();
        await system.Runs.StartAsync("poisoned", new FeedOrder(50, Fast), TestStop);
        var poison = (await system.Records.ReserveAsync(1, TestStop)).Single();
        await poison.DeadLetterAsync("poison", TestStop);

        await system.AddConsumerAsync();
        var end = await system.Runs.WaitAsync("poisoned", TestStop);

        Assert.Equal((FeedState.Incomplete, 50, 49), (end!.State, end.Produced, end.Consumed));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Tally_WrittenTwiceAndLate_StaysTheSame()
    {
        await using var system = await CreateAsync();
        await system.Tally.OpenAsync("tally", new FeedOrder(3, 1), TestStop);

        await system.Tally.SetProducedAsync("tally", 3);
        await system.Tally.SetProducedAsync("tally", 2); // by a producer that was frozen
        for (var i = 0; i < 2; i++) await system.Tally.AddAsync([new("tally", 1, "Lu"), new("tally", 2, "Lu"), new("tally", 3, "Nd")]);

        Assert.Equal(new FeedProgress(new FeedOrder(3, 1), 3, 3), await system.Tally.ReadAsync("tally", TestStop));
        Assert.Equal(new Dictionary<string, int> { ["Lu"] = 2, ["Nd"] = 1 }, (await system.Tally.CategoriesAsync("tally", TestStop)).ToDictionary());
        Assert.Null(await system.Tally.ReadAsync("unknown", TestStop));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Start_OutOfRange_IsRefused()
    {
        await using var system = await CreateAsync();

        foreach (var order in (FeedOrder[])[new(0, 1), new(FeedOrder.MaxCount + 1, 1), new(1, 0), new(1, Fast + 1)])
            await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => system.Runs.StartAsync("wrong", order, TestStop));
        Assert.Null(await system.Runs.FindAsync("wrong", TestStop));
    }

    private static Dictionary<string, int> PlainRead(int count) => File.ReadLines(Path.Combine(AppContext.BaseDirectory, "inputs", "UnicodeData.txt"))
        .Take(count).CountBy(line => line.Split(';')[2]).ToDictionary();
}

public sealed class ChannelFeedTests : FeedConformance
{
    private protected override Task<FeedSystem> CreateAsync(params (string Name, string Value)[] settings) => FeedSystem.StartAsync(Variants.Channel, null, settings);
}

public abstract class RedisFeedTests(SharedRedis shared, RedisKind kind) : FeedConformance
{
    private protected override async Task<FeedSystem> CreateAsync(params (string Name, string Value)[] settings) =>
        await FeedSystem.StartAsync(Variants.Distributed, await shared.OfAsync(kind), settings);
}

public sealed class RedisFeedOnGarnetTests(SharedRedis shared) : RedisFeedTests(shared, RedisKind.Garnet);

public sealed class RedisFeedOnRedisTests(SharedRedis shared) : RedisFeedTests(shared, RedisKind.Redis);
