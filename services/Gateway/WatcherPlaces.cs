using DistributedPatterns.Gateway.Problems;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Gateway;

/// <summary>The places for those who watch an event stream, at most <see cref="GatewayOptions.MaxWatchers"/> at the same time.</summary>
internal sealed class WatcherPlaces(IOptions<GatewayOptions> options)
{
    private int _count;

    public int Count => Volatile.Read(ref _count);

    /// <summary>Takes a place until the request ends.</summary>
    /// <param name="instead">What to do when there is none left.</param>
    /// <exception cref="ProblemException">There is none left.</exception>
    public void Enter(HttpContext http, string instead)
    {
        if (Interlocked.Increment(ref _count) > options.Value.MaxWatchers)
        {
            Interlocked.Decrement(ref _count);
            throw new ProblemException(ProblemKind.TooManyWatchers, $"{options.Value.MaxWatchers} of {options.Value.MaxWatchers} event streams are open (Gateway:MaxWatchers). {instead}");
        }
        // Not in the stream's own end: a client that left at once never begins to read it.
        http.Response.OnCompleted(() =>
        {
            Interlocked.Decrement(ref _count);
            return Task.CompletedTask;
        });
    }
}
