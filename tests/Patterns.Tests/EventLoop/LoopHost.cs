using DistributedPatterns.EventLoop;
using DistributedPatterns.Tests.Support;

namespace DistributedPatterns.Tests.EventLoop;

/// <summary>A variant with everything it needs to run, until disposed.</summary>
/// <param name="passTime">Moves the clock on, where it is the test's.</param>
public sealed class LoopHost(IEventLoop loop, Func<ValueTask> stop, Action<TimeSpan>? passTime = null) : IAsyncDisposable
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(40);

    public IEventLoop Loop { get; } = loop;

    public ValueTask<KeyState?> ReadAsync(string key) => Loop.ReadAsync(key, TestContext.Current.CancellationToken);

    /// <summary>Asks again until the answer is yes; on a clock of the test's own it moves that on.</summary>
    public async Task<EventLoopStatus> UntilAsync(Func<EventLoopStatus, bool> condition)
    {
        EventLoopStatus? last = null;
        await Eventually.TrueAsync(
            async () =>
            {
                PassTime(TimeSpan.FromMilliseconds(20));
                return condition(last = await Loop.GetStatusAsync(TestContext.Current.CancellationToken));
            }, s_limit, () => $"{last?.Ledger} {last?.Counters}\n{string.Join('\n', last?.Partitions ?? [])}");
        return last!;
    }

    public async Task<KeyState> UntilAsync(string key, Func<KeyState?, bool> condition)
    {
        KeyState? last = null;
        await Eventually.TrueAsync(
            async () =>
            {
                PassTime(TimeSpan.FromMilliseconds(20));
                return condition(last = await ReadAsync(key));
            }, s_limit, () => $"{last} {last?.State}");
        return last!;
    }

    public Task<EventLoopStatus> AllHandledAsync() => UntilAsync(status => status.Ledger.Waiting == 0);

    public void PassTime(TimeSpan time) => passTime?.Invoke(time);

    public ValueTask DisposeAsync() => stop();
}
