using DistributedPatterns.FanOutFanIn;
using DistributedPatterns.FanOutFanIn.Engine;

namespace DistributedPatterns.Tests.FanOutFanIn;

/// <summary>What goes wrong in the line between two steps of a loop, which no test of the whole can hit at will.</summary>
public sealed class SliceLineTests
{
    [Fact]
    public async Task Finish_OfASliceThatWasCutOffBeforeItBegan_LetsNobodyIntoItsLane()
    {
        var intake = new LaneIntake<int>(new ListIntake<int>([1, 2], TimeProvider.System), _ => "one lane");
        var line = new SliceLine<int, long>(intake, GatherOrder.AsCompleted, capacity: 16);

        var taken = (await line.TakeAsync(1))!; // its loop is not given a thread before another loop comes by
        var cut = (await line.TakeAsync(1))!;
        Assert.True(cut.TryClaim(out _));
        line.Finish(taken);
        var next = line.TakeAsync(1);

        Assert.False(next.IsCompleted, "The second item of the lane began while the first one ran.");
        line.Finish(cut);
        Assert.Equal(2, (await next)!.Input(0));
    }
}
