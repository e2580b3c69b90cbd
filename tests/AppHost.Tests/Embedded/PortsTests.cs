using Aspire.Hosting.Processes;

namespace DistributedPatterns.Tests;

public sealed class PortsTests
{
    [Fact]
    public void Free_AskedManyTimesBeforeAnyoneBinds_GivesNoPortTwice()
    {
        var ports = Enumerable.Range(0, 2_000).AsParallel().Select(_ => Ports.Free()).ToArray();

        Assert.Distinct(ports);
        Assert.All(ports, port => Assert.InRange(port, 20_000, 31_999));
    }
}
