using DistributedPatterns.Supervision;
using DistributedPatterns.Tests.Support;

namespace DistributedPatterns.Tests.Supervision;

/// <summary>A variant with everything it needs to run, until disposed.</summary>
public sealed class SupervisorHost(ISupervisor supervisor, Func<Task> stop, Action? passTime = null) : IAsyncDisposable
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(40);

    private Task? _stopped;

    public ISupervisor Supervisor { get; } = supervisor;

    public ValueTask<SupervisionTree> TreeAsync() => Supervisor.GetTreeAsync(TestContext.Current.CancellationToken);

    public async Task<ChildStatus> ChildAsync(string name) => (await TreeAsync()).Children.Single(child => child.Name == name);

    /// <summary>Asks again until the answer is yes; on a clock of the test's own it moves that on.</summary>
    public async Task<SupervisionTree> UntilAsync(Func<SupervisionTree, bool> condition)
    {
        SupervisionTree? last = null;
        await Eventually.TrueAsync(
            async () =>
            {
                passTime?.Invoke();
                return condition(last = await TreeAsync());
            },
            s_limit, () => $"{last}\n{string.Join('\n', last?.Children ?? [])}");
        return last!;
    }

    public Task AllRunAsync() => UntilAsync(tree => tree.Children.All(child => child.State == ChildState.Running));

    /// <summary>Stops the processes as hosts do.</summary>
    public Task StopAsync() => _stopped ??= stop();

    public async ValueTask DisposeAsync() => await StopAsync();
}
