using DistributedPatterns.Diagnostics;
using DistributedPatterns.Supervision;
using DistributedPatterns.Tests.Guarantees;
using DistributedPatterns.Tests.Pipeline;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Tests.Supervision;

/// <summary>The contract over <see cref="TaskSupervisor"/>, on a clock that stands still unless a test moves it.</summary>
[Guarantees("supervision", Variants.Channel)]
[Promises(Guarantee.Order, "started in order, stopped in reverse",
    nameof(Start_OfChildren_IsInOrderEachWhenTheOneBeforeIsUp), nameof(Stop_OfTheProcesses_StopsInReverseAndIsNoFailure))]
[Promises(Guarantee.Delivery, "each start under a higher epoch, and every one accounted for", nameof(Storm_OfFailures_LeavesEveryStartAccountedForAndEpochsRising))]
[DoesNotPromise(Guarantee.ProcessDeath, "its children are gone, and what they kept")]
[Promises(Guarantee.StaleHolder, "its writes are refused by its epoch, and counted", nameof(Hang_OfAChildThatIgnoresItsToken_IsReplacedAndCanWriteNothingAnyMore))]
[Promises(Guarantee.Full, "one restart beyond `MaxRestarts` stops all", nameof(Crash_OnceMoreThanTheBudgetAllows_StopsAllUntilReset))]
public sealed class TaskSupervisorTests : SupervisorConformance
{
    private static readonly TimeSpan s_step = TimeSpan.FromMilliseconds(50);

    private readonly ManualTime _time = new();

    protected override ValueTask<SupervisorHost> CreateAsync(Action<SupervisionOptions>? configure, params ChildDefinition[] children)
    {
        var supervisor = NewSupervisor(configure, children);
        var stop = new CancellationTokenSource();
        var running = RunWithResetsAsync(supervisor, stop.Token);
        return new(new SupervisorHost(supervisor, async () =>
        {
            await stop.CancelAsync();
            await PassTimeUntilAsync(running);
        }, () => _time.Advance(s_step)));
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_IsStopped_ReportsWhatDidNotStop()
    {
        var (a, b) = (Child("a"), Child("b", stopLimit: TimeSpan.FromSeconds(3)));
        var supervisor = NewSupervisor(null, a.Definition, b.Definition);
        using var stop = new CancellationTokenSource();
        var running = supervisor.RunAsync(stop.Token);
        await a.NextAsync();
        var stubborn = await b.NextAsync();
        stubborn.IgnoresToken = true;

        await stop.CancelAsync();
        await PassTimeUntilAsync(running);

        var report = await running;
        Assert.Equal(["a"], report.Stopped);
        Assert.Equal([new NotStoppedChild("b", stubborn.Context.Epoch, TimeSpan.FromSeconds(3))], report.NotStopped);
        Assert.Equal(1, (await supervisor.GetTreeAsync(TestStop)).Counters.NotStopped);
        stubborn.Return();
        await Eventually.TrueAsync(async () => (await supervisor.GetTreeAsync(TestStop)).Counters.NotStopped == 0, TimeSpan.FromSeconds(20), () => "it is still counted");
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_AsTheChildOfAnotherSupervisor_EscalatesToIt()
    {
        var leaf = Child("leaf");
        var inner = NewSupervisor(options => options.MaxRestarts = 1, leaf.Definition);
        var outer = NewSupervisor(null, new ChildDefinition("inner", (_, token) => inner.RunAsync(token)));
        using var stop = new CancellationTokenSource();
        var running = outer.RunAsync(stop.Token);

        (await leaf.NextAsync()).Crash();
        (await leaf.NextAsync()).Crash(); // the inner one gives up, the outer one starts it again

        await leaf.NextAsync();
        var tree = await outer.GetTreeAsync(TestStop);
        Assert.Equal((1, 1), (tree.Ledger.Crashed, tree.Budget.Spent));
        Assert.Contains("leaf crashed", tree.Children[0].Reason, StringComparison.Ordinal);
        await stop.CancelAsync();
        Assert.Equal(["inner"], (await running).Stopped);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Run_GivesUp_ThrowsWithItsReportAndCanRunAgain()
    {
        var (a, b) = (Child("a"), Child("b"));
        var supervisor = NewSupervisor(options => options.MaxRestarts = 0, a.Definition, b.Definition);
        using var stop = new CancellationTokenSource();
        var running = supervisor.RunAsync(stop.Token);
        await a.NextAsync();
        await Assert.ThrowsAsync<InvalidOperationException>(() => supervisor.RunAsync(stop.Token));

        (await b.NextAsync()).Crash();

        var escalated = await Assert.ThrowsAsync<SupervisorEscalatedException>(() => running);
        Assert.Equal(["a"], escalated.Report!.Stopped);
        running = supervisor.RunAsync(stop.Token);
        await Task.WhenAll(a.NextAsync(), b.NextAsync());
        await stop.CancelAsync();
        Assert.Equal(["b", "a"], (await running).Stopped);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Restart_OfAChildThatRanStable_HasTheFirstPauseAgain()
    {
        var a = Child("a");
        var supervisor = NewSupervisor(
            options => (options.FirstPause, options.StableAfter, options.MaxRestarts) = (TimeSpan.FromSeconds(1), TimeSpan.FromMinutes(1), 100), a.Definition);
        using var stop = new CancellationTokenSource();
        var running = supervisor.RunAsync(stop.Token);

        var crashes = 0;
        foreach (var (ran, longest) in ((double, double)[])[(0, 1), (0, 2), (0, 4), (61, 1)])
        {
            var next = a.NextAsync();
            await PassTimeUntilAsync(next);
            _time.Advance(TimeSpan.FromSeconds(ran));
            (await next).Crash();
            crashes++;
            SupervisionTree? tree = null;
            await Eventually.TrueAsync(async () => (tree = await supervisor.GetTreeAsync(TestStop)).Ledger.Crashed == crashes, TimeSpan.FromSeconds(20), () => "it does not crash");
            Assert.InRange((tree!.Children[0].StartsIn ?? TimeSpan.Zero).TotalSeconds, 0, longest); // by chance it may be over already
        }

        await stop.CancelAsync();
        await running;
    }

    [Fact(Timeout = HangLimit)]
    public async Task Host_WhoseSupervisorGivesUp_StopsUnlessItStaysDown()
    {
        var a = Child("a");
        using var stopping = await StartHostAsync(EscalationPolicy.StopHost, a);
        (await a.NextAsync()).Crash();
        var stopped = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        stopping.Services.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping.Register(stopped.SetResult);
        await stopped.Task.WaitAsync(TestStop);
        Environment.ExitCode = 0; // or this test run would end with it
        await stopping.StopAsync(TestStop);

        using var staying = await StartHostAsync(EscalationPolicy.StayDown, a);
        (await a.NextAsync()).Crash();
        var supervisor = staying.Services.GetRequiredKeyedService<ISupervisor>(Variants.Channel);
        await Eventually.TrueAsync(async () => (await supervisor.GetTreeAsync(TestStop)).Escalated is not null, TimeSpan.FromSeconds(20), () => "it does not give up");
        await supervisor.ResetAsync(TestStop);
        await a.NextAsync();
        await staying.StopAsync(TestStop);
    }

    [Fact(Timeout = HangLimit)]
    public async Task Host_WhoseSupervisorGivesUpWhileItStarts_StartsAndThenStops()
    {
        var a = Child("a");
        var builder = NewHostBuilder(EscalationPolicy.StopHost, a);
        builder.Services.AddHostedService(services => new SlowStart(async starting =>
        {
            (await a.NextAsync()).Crash();
            await services.GetServices<IHostedService>().OfType<BackgroundService>().Single().ExecuteTask!; // which has given up
            starting.ThrowIfCancellationRequested();
        }));
        using var host = builder.Build();

        await host.StartAsync(TestStop);

        Assert.True(host.Services.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping.IsCancellationRequested);
        Assert.Equal(1, Environment.ExitCode);
        Environment.ExitCode = 0; // or this test run would end with it
        await host.StopAsync(TestStop);
    }

    private static HostApplicationBuilder NewHostBuilder(EscalationPolicy policy, TestChild child)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddLogging().AddSingleton(child.Definition).AddTaskSupervisor(options => (options.MaxRestarts, options.WhenEscalated) = (0, policy));
        return builder;
    }

    private static async Task<IHost> StartHostAsync(EscalationPolicy policy, TestChild child)
    {
        var host = NewHostBuilder(policy, child).Build();
        await host.StartAsync(TestStop);
        return host;
    }

    private sealed class SlowStart(Func<CancellationToken, Task> start) : IHostedService
    {
        public Task StartAsync(CancellationToken cancellationToken) => start(cancellationToken);

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }

    private TaskSupervisor NewSupervisor(Action<TaskSupervisorOptions>? configure, params ChildDefinition[] children)
    {
        var options = new TaskSupervisorOptions { FirstPause = TimeSpan.Zero };
        configure?.Invoke(options);
        return new TaskSupervisor(new ChildCatalog(children), Options.Create(options), _time);
    }

    private static async Task RunWithResetsAsync(TaskSupervisor supervisor, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            try
            {
                await supervisor.RunAsync(stop);
            }
            catch (SupervisorEscalatedException)
            {
                await supervisor.WhenResetAsync(stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private async Task PassTimeUntilAsync(Task outcome)
    {
        await Eventually.TrueAsync(() =>
        {
            _time.Advance(s_step);
            return outcome.IsCompleted;
        }, TimeSpan.FromSeconds(40), () => "it does not end");
    }
}
