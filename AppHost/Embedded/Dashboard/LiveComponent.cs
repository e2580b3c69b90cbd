using Microsoft.AspNetCore.Components;

namespace Aspire.Hosting.Dashboard;

/// <summary>A page that is refreshed at each tick, and drawn again when that brought something.</summary>
public abstract class LiveComponent(TimeSpan every) : ComponentBase, IAsyncDisposable
{
    private readonly CancellationTokenSource _left = new();
    private Task _following = Task.CompletedTask;

    [Inject]
    private protected TimeProvider Time { get; set; } = null!;

    /// <summary>Reads what the page shows, and tells whether it changed.</summary>
    protected abstract bool Refresh();

    protected override void OnParametersSet() => Refresh();

    protected override void OnAfterRender(bool firstRender)
    {
        if (firstRender)
        {
            _following = FollowAsync();
        }
    }

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        await _left.CancelAsync();
        await _following;
        _left.Dispose();
    }

    private async Task FollowAsync()
    {
        using var timer = new PeriodicTimer(every, Time);
        try
        {
            while (await timer.WaitForNextTickAsync(_left.Token))
            {
                if (Refresh())
                {
                    StateHasChanged();
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The page was left.
        }
    }
}
