using System.Reflection;

namespace Aspire.Hosting.Testing;

/// <summary>Runs an AppHost's entry point for a test, which decides when it builds, starts and stops.</summary>
internal sealed class AppHostInvocation
{
    private static readonly AsyncLocal<AppHostInvocation?> s_current = new();

    private readonly TaskCompletionSource<DistributedApplicationBuilder> _builder = Completion<DistributedApplicationBuilder>();
    private readonly TaskCompletionSource<DistributedApplication> _application = Completion<DistributedApplication>();
    private readonly TaskCompletionSource _mayBuild = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task _entryPoint = Task.CompletedTask;

    private AppHostInvocation(Assembly appHost) => AppHost = appHost;

    /// <summary>Gets the test's invocation that this code runs in, if any.</summary>
    public static AppHostInvocation? Current => s_current.Value;

    public Assembly AppHost { get; }

    public Task Stopped => _stopped.Task;

    /// <summary>Runs the entry point up to its call of <c>Build</c>.</summary>
    public static async Task<(AppHostInvocation Invocation, DistributedApplicationBuilder Builder)> StartAsync(
        Assembly appHost, string[] args, CancellationToken cancellationToken)
    {
        var invocation = new AppHostInvocation(appHost);
        invocation._entryPoint = Task.Factory.StartNew(
            () => invocation.Enter(args), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        return (invocation, await invocation._builder.Task.WaitAsync(cancellationToken));
    }

    public void WaitForBuild(DistributedApplicationBuilder builder)
    {
        _builder.TrySetResult(builder);
        _mayBuild.Task.GetAwaiter().GetResult();
    }

    public void Built(DistributedApplication application) => _application.TrySetResult(application);

    public Task<DistributedApplication> BuildAsync(CancellationToken cancellationToken)
    {
        _mayBuild.TrySetResult();
        return _application.Task.WaitAsync(cancellationToken);
    }

    /// <summary>Lets the entry point return, so that what it does last is done when this is.</summary>
    public async Task FinishAsync()
    {
        _mayBuild.TrySetCanceled();
        _stopped.TrySetResult();
        await _entryPoint;
    }

    private void Enter(string[] args)
    {
        s_current.Value = this;
        var entryPoint = AppHost.EntryPoint
            ?? throw new InvalidOperationException($"Assembly '{AppHost.GetName().Name}' has no entry point.");
        try
        {
            entryPoint.Invoke(null, entryPoint.GetParameters().Length == 0 ? null : [args]);
            Fail(new InvalidOperationException($"The entry point of '{AppHost.GetName().Name}' returned without building an application."));
        }
        catch (TargetInvocationException e) when (e.InnerException is { } inner)
        {
            // Whoever waits for the builder or the application gets it; nobody does once the test gave up.
            Fail(inner);
        }
    }

    private void Fail(Exception reason)
    {
        _builder.TrySetException(reason);
        _application.TrySetException(reason);
    }

    private static TaskCompletionSource<T> Completion<T>() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
