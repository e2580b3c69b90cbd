using DistributedPatterns.Diagnostics;
using DistributedPatterns.Supervision;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace DistributedPatterns.Tests.Supervision;

/// <summary>A background service that dies: nobody notices, or the host ends, unless it is supervised.</summary>
public sealed class SupervisedServiceTests
{
    [Fact(Timeout = 60_000)]
    public async Task Service_Throws_IsStartedAgainAndStopsWithTheHost()
    {
        var starts = new Starts();
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddLogging().AddSingleton(starts)
            .AddSupervisedService<FailsTwice>("service", options => options.StopLimit = TimeSpan.FromSeconds(25))
            .AddTaskSupervisor(options => options.FirstPause = TimeSpan.Zero);
        using var host = builder.Build();
        await host.StartAsync(TestContext.Current.CancellationToken);
        var supervisor = host.Services.GetRequiredKeyedService<ISupervisor>(Variants.Channel);

        await starts.Third.Task.WaitAsync(TestContext.Current.CancellationToken);
        await Eventually.TrueAsync(
            async () => (await supervisor.GetTreeAsync()).Children.Single().State == ChildState.Running, TimeSpan.FromSeconds(20), () => "it does not run");
        var tree = await supervisor.GetTreeAsync(TestContext.Current.CancellationToken);
        await host.StopAsync(TestContext.Current.CancellationToken);

        Assert.Equal((2, 2, 1), (tree.Ledger.Crashed, tree.Counters.Restarts, tree.Ledger.Running));
        Assert.Contains("the disk is away", tree.Children[0].Reason, StringComparison.Ordinal);
        Assert.True(starts.HasStopped);
        Assert.Equal((1, 0), (await supervisor.GetTreeAsync(TestContext.Current.CancellationToken)).Ledger is var ledger ? (ledger.Stopped, ledger.Running) : default);
    }

    private sealed class Starts
    {
        public int Count { get; set; }

        public bool HasStopped { get; set; }

        public TaskCompletionSource Third { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    private sealed class FailsTwice(Starts starts) : BackgroundService
    {
        protected override async Task ExecuteAsync(CancellationToken stoppingToken)
        {
            if (++starts.Count <= 2) throw new IOException("the disk is away");
            starts.Third.SetResult();
            try
            {
                await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, stoppingToken);
            }
            finally
            {
                starts.HasStopped = true;
            }
        }
    }
}
