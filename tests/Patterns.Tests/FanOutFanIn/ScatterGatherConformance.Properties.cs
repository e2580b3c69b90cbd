using System.Runtime.InteropServices;
using CsCheck;
using DistributedPatterns.FanOutFanIn;
using DistributedPatterns.Payloads;

namespace DistributedPatterns.Tests.FanOutFanIn;

/// <summary>Random gatherings against the sequential program that they stand for.</summary>
public abstract partial class ScatterGatherConformance
{
    private static readonly Gen<Plan> s_plan = Gen.Select(
        Gen.OneOf(Gen.Int[0, 3], Gen.Int[0, 600]), Gen.Int[1, 9], Gen.Enum<GatherOrder>(), Gen.Enum<BranchErrorPolicy>(),
        Gen.Frequency((2, Gen.Const(0)), (1, Gen.Int[2, 60])), Gen.OneOf(0, 1, 7), Gen.OneOf(9, 40, 4_096),
        Gen.Select(Gen.OneOf(0, 1, 4), Gen.Bool, Gen.OneOf(0, 1, 50)),
        (items, degree, order, onError, failsAt, waitsAt, capacity, rest) =>
            new Plan(items, degree, order, onError, failsAt, waitsAt, capacity, rest.Item1, rest.Item2, rest.Item3));

    private static readonly BranchDefinition<Order, int> s_tenfold = new("tenfold", PayloadCodec.Packed<Order>(), PayloadCodec.Packed<int>(), static async (order, _) =>
    {
        if (order.WaitsAt > 0 && order.Number % order.WaitsAt == 0) await Task.Yield();
        return Fails(order) ? throw new IOException($"{order.Number}") : order.Number * 10;
    });

    private sealed record Plan(
        int Items, int Degree, GatherOrder Order, BranchErrorPolicy OnError, int FailsAt, int WaitsAt, int Capacity, int Keys, bool IsList, int SourceWaitsAt);

    [StructLayout(LayoutKind.Sequential)]
    private readonly record struct Order(int Number, int FailsAt, int WaitsAt);

    /// <summary>Gets how many random gatherings to try.</summary>
    protected abstract int Samples { get; }

    [Fact(Timeout = HangLimit)]
    public async Task Scatter_OfAnything_GivesWhatTheSequentialProgramGives()
    {
        await using var host = await CreateAsync(s_tenfold);

        await s_plan.SampleAsync(async plan =>
        {
            var orders = Enumerable.Range(0, plan.Items).Select(i => new Order(i, plan.FailsAt, plan.WaitsAt)).ToArray();
            var options = new ScatterOptions<Order>
            {
                Degree = plan.Degree,
                Order = plan.Order,
                OnError = plan.OnError,
                Capacity = plan.Capacity,
                Key = plan.Keys > 0 ? order => order.Number % 5 == 0 ? null : $"{order.Number % plan.Keys}" : null,
            };
            var gather = plan.IsList
                ? host.Scatter.Scatter<Order, int>("tenfold", orders, options)
                : host.Scatter.Scatter<Order, int>("tenfold", Sequence(orders, plan.SourceWaitsAt), options);
            var results = new List<BranchResult<int>>();
            BranchException? stopped = null;
            try
            {
                await foreach (var result in gather.WithCancellation(TestStop)) results.Add(result);
            }
            catch (BranchException error)
            {
                stopped = error;
            }

            Assert.Equal(results.Count, results.Select(result => result.Index).Distinct().Count());
            if (plan.Order == GatherOrder.AsAsked) Assert.Equal(results.OrderBy(result => result.Index).Select(result => result.Index), results.Select(result => result.Index));
            Assert.All(results, result => Assert.Equal(Fails(orders[result.Index]) ? -1 : result.Index * 10, result.Error is null ? result.Value : -1));
            var report = gather.Report;
            Assert.Equal(report.Asked, report.Done + report.Failed + report.MissingInputs.Sum(stretch => stretch.Count));
            if (plan.OnError == BranchErrorPolicy.Stop && orders.Any(Fails))
            {
                Assert.True(Fails(orders[stopped!.Index]), $"item {stopped.Index} does not fail");
                Assert.Equal(1, report.Failed);
                return;
            }
            Assert.Null(stopped);
            Assert.Equal((plan.Items, plan.Items, orders.Count(Fails), 0), ((int)report.Asked, results.Count, (int)report.Failed, (int)report.Missing));
        }, iter: Samples, threads: 2);
    }

    private static bool Fails(Order order) => order.FailsAt > 0 && order.Number % order.FailsAt == order.FailsAt - 1;

    private static async IAsyncEnumerable<Order> Sequence(Order[] orders, int waitsAt)
    {
        foreach (var order in orders)
        {
            if (waitsAt > 0 && order.Number % waitsAt == 0) await Task.Yield();
            yield return order;
        }
    }
}
