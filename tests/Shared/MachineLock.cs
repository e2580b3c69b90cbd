namespace DistributedPatterns.Tests;

/// <summary>Lets one suite on this machine start servers at a time, since <c>dotnet test</c> runs test modules side by side.</summary>
/// <remarks>The system drops the lock with its process, however that ends.</remarks>
internal sealed class MachineLock : IAsyncDisposable
{
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(60);
    private static readonly TimeSpan s_pollEvery = TimeSpan.FromMilliseconds(100);

    private readonly FileStream _file;

    private MachineLock(FileStream file) => _file = file;

    public static async Task<MachineLock> TakeAsync(CancellationToken cancellationToken)
    {
        var path = Path.Combine(Path.GetTempPath(), "distributed-patterns-tests.lock");
        var started = TimeProvider.System.GetTimestamp();
        while (true)
        {
            try
            {
                return new(new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None));
            }
            catch (IOException) when (TimeProvider.System.GetElapsedTime(started) < s_limit)
            {
                await Task.Delay(s_pollEvery, TimeProvider.System, cancellationToken);
            }
            catch (IOException e)
            {
                throw new TimeoutException($"Another test run still holds '{path}' after {s_limit.TotalMinutes} minutes. End it.", e);
            }
        }
    }

    public ValueTask DisposeAsync() => _file.DisposeAsync();
}
