using DistributedPatterns.Pipeline;

namespace DistributedPatterns.Tests.Pipeline;

public abstract partial class PipelineConformance
{
    [Fact(Timeout = HangLimit)]
    public async Task Start_TheSameIdAgain_ReturnsTheSameRun()
    {
        var opened = 0;
        var numbers = new NumbersPipeline
        {
            Source = (_, _) =>
            {
                Interlocked.Increment(ref opened);
                return Enumerable.Range(1, 40).ToAsyncEnumerable();
            },
        }.Define();
        await using var host = await CreateAsync(numbers);
        var request = new PipelineRequest("numbers", "40") { Id = $"run-{Guid.NewGuid():N}" };

        var runs = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => host.Pipeline.StartAsync(request, TestStop)));
        await Task.WhenAll(runs.Select(run => run.WaitAsync(TestStop)));
        var later = await host.Pipeline.StartAsync(request, TestStop);

        Assert.All(runs, run => Assert.Equal(request.Id, run.Id));
        Assert.Equal(PipelineState.Completed, (await later.GetStatusAsync(TestStop)).State);
        Assert.Equal(1, opened);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Start_WithoutAnId_GivesEachRunItsOwnAndFindsIt()
    {
        var numbers = new NumbersPipeline().Define();
        await using var host = await CreateAsync(numbers);

        var first = await host.StartAsync(numbers, "5", TestStop);
        var second = await host.StartAsync(numbers, "5", TestStop);
        await first.WaitAsync(TestStop);

        Assert.NotEqual(first.Id, second.Id);
        var found = await host.Pipeline.FindAsync(first.Id, TestStop);
        Assert.NotNull(found);
        Assert.Equal(NumbersPipeline.Expected(5), await numbers.ResultOfAsync(found, TestStop));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Find_AnUnknownRun_ReturnsNull()
    {
        await using var host = await CreateAsync(new NumbersPipeline().Define());

        Assert.Null(await host.Pipeline.FindAsync("no-such-run", TestStop));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Start_AnUnknownPipeline_ListsThoseThereAre()
    {
        await using var host = await CreateAsync(new NumbersPipeline().Define(), new SalesPipeline().Define());

        var error = await Assert.ThrowsAsync<UnknownPipelineException>(
            () => host.Pipeline.StartAsync(new PipelineRequest("Numbers", "1"), TestStop)); // names tell case apart

        Assert.Equal(["numbers", "sales"], error.Known.Order());
        Assert.Contains("'Numbers'", error.Message, StringComparison.Ordinal);
    }

    [Theory(Timeout = HangLimit)]
    [InlineData("-1")]
    [InlineData("ten")]
    [InlineData("")]
    [InlineData("99999999999999999999")]
    public async Task Start_TheSourceRefusesTheInput_SaysWhatItAcceptsAndTakesNoPlace(string input)
    {
        var numbers = new NumbersPipeline().Define();
        await using var host = await CreateAsync(maxRuns: 1, numbers);

        var error = await Assert.ThrowsAsync<PipelineInputException>(() => host.StartAsync(numbers, input, TestStop));

        Assert.Contains("give a number", error.Message, StringComparison.Ordinal);
        Assert.Equal(PipelineState.Completed, (await host.RunAsync(numbers, "1", TestStop)).State);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Start_AsManyRunsAsAllowedAreOpen_RefusesUntilOneHasEnded()
    {
        var gate = new Gate();
        var numbers = new NumbersPipeline { Source = (_, token) => CountThenWait(3, gate, token) }.Define();
        await using var host = await CreateAsync(maxRuns: 2, numbers);
        var first = await host.StartAsync(numbers, "3", TestStop);
        var second = await host.StartAsync(numbers, "3", TestStop);

        var full = await Assert.ThrowsAsync<PipelineFullException>(() => host.StartAsync(numbers, "3", TestStop));
        await first.StopAsync(PipelineStop.Abort, TestStop);
        await first.WaitAsync(TestStop);
        var third = await host.StartAsync(numbers, "3", TestStop);
        await Assert.ThrowsAsync<PipelineFullException>(() => host.StartAsync(numbers, "3", TestStop));
        gate.Open();

        Assert.Equal(2, full.Limit);
        Assert.Equal(PipelineState.Completed, (await second.WaitAsync(TestStop)).State);
        Assert.Equal(PipelineState.Completed, (await third.WaitAsync(TestStop)).State);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Start_AnOpenRunAgainWhileFull_ReturnsIt()
    {
        var gate = new Gate();
        var numbers = new NumbersPipeline { Source = (_, token) => CountThenWait(3, gate, token) }.Define();
        await using var host = await CreateAsync(maxRuns: 1, numbers);
        var run = await host.StartAsync(numbers, "3", TestStop);

        var again = await host.Pipeline.StartAsync(new PipelineRequest("numbers", "3") { Id = run.Id }, TestStop);
        gate.Open();

        Assert.Equal(run.Id, again.Id);
        Assert.Equal(PipelineState.Completed, (await again.WaitAsync(TestStop)).State);
    }
}
