using DistributedPatterns.Diagnostics;
using DistributedPatterns.Gateway.Problems;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Gateway.Patterns;

/// <summary>Calls one variant of a pattern so that no request waits for Redis longer than <see cref="GatewayOptions.BrokerTimeout"/>.</summary>
/// <typeparam name="T">The pattern's contract, registered under the variant's name.</typeparam>
internal sealed class VariantCalls<T>(string variant, IServiceProvider services) where T : class
{
    private readonly TimeSpan _limit = services.GetRequiredService<IOptions<GatewayOptions>>().Value.BrokerTimeout;
    private readonly TimeProvider _time = services.GetRequiredService<TimeProvider>();
    private T? _pattern;

    /// <exception cref="ProblemException">Redis did not answer in time.</exception>
    public async Task<TResult> CallAsync<TResult>(Func<T, CancellationToken, Task<TResult>> call, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(_limit, _time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, limit.Token);
        try
        {
            // The first use of a distributed variant connects to Redis, and that call is synchronous.
            _pattern ??= variant == Variants.Channel ? Resolve() : await Task.Run(Resolve, both.Token).WaitAsync(both.Token);
            return await call(_pattern, both.Token).WaitAsync(both.Token);
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new ProblemException(ProblemKind.BrokerUnavailable, $"No answer within {_limit} (Gateway:BrokerTimeout).");
        }

        T Resolve() => services.GetRequiredKeyedService<T>(variant);
    }
}
