namespace Aspire.Hosting.ApplicationModel;

public sealed class ExecuteCommandResult
{
    public required bool Success { get; init; }

    public string? Message { get; init; }
}

/// <summary>Starts, stops and restarts replicas on request. A caller that no longer waits does not undo its request.</summary>
public class ResourceCommandService
{
    private readonly Func<string, string, Task<ExecuteCommandResult>> _execute;
    private readonly ResourceNotificationService _notifications;

    internal ResourceCommandService(
        ResourceNotificationService notifications, Func<string, string, Task<ExecuteCommandResult>> execute) =>
        (_notifications, _execute) = (notifications, execute);

    /// <summary>Runs a command on one replica, by its id, or by its resource's name if that has one replica only.</summary>
    public async Task<ExecuteCommandResult> ExecuteCommandAsync(
        string resourceId, string commandName, CancellationToken cancellationToken = default) =>
        _notifications.TryGetCurrentState(resourceId, out var found)
            ? await _execute(found.ResourceId, commandName).WaitAsync(cancellationToken)
            : new() { Success = false, Message = $"Resource '{resourceId}' not found." };

    /// <summary>Runs a command on every replica of a resource.</summary>
    public async Task<ExecuteCommandResult> ExecuteCommandAsync(
        IResource resource, string commandName, CancellationToken cancellationToken = default)
    {
        var replicas = _notifications.Current.Where(e => e.Resource == resource).Select(e => e.ResourceId);
        var results = await Task.WhenAll(replicas.Select(id => _execute(id, commandName))).WaitAsync(cancellationToken);
        var failures = results.Where(r => !r.Success).Select(r => r.Message).ToList();
        return new() { Success = failures.Count == 0, Message = failures.Count == 0 ? null : string.Join(Environment.NewLine, failures) };
    }
}
