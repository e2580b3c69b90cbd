using Grpc.Core;
using Grpc.Net.Client.Balancer;

namespace DistributedPatterns.Members;

/// <summary>Resolves <c>members:///worker</c> to the gRPC addresses of the living workers, again after every change.</summary>
internal sealed class MemberResolverFactory(IMembers members) : ResolverFactory
{
    public const string Scheme = "members";

    public override string Name => Scheme;

    public override Resolver Create(ResolverOptions options) => new MemberResolver(members, options.Address.AbsolutePath.Trim('/'));

    private sealed class MemberResolver(IMembers members, string role) : Resolver
    {
        private readonly CancellationTokenSource _stop = new();
        private Task? _watch;

        public override void Start(Action<ResolverResult> listener) => _watch ??= WatchAsync(listener, _stop.Token);

        protected override void Dispose(bool disposing)
        {
            // The watch ends by itself; to wait for it here would be to wait for a listener that may wait for us.
            if (disposing)
                _stop.Cancel();
            base.Dispose(disposing);
        }

        private async Task WatchAsync(Action<ResolverResult> listener, CancellationToken cancellationToken)
        {
            try
            {
                await foreach (var living in members.WatchAsync(role, cancellationToken).ConfigureAwait(false))
                {
                    BalancerAddress[] addresses =
                        [.. living.Where(member => member.Grpc is not null).Select(member => new BalancerAddress(member.Grpc!.Host, member.Grpc.Port))];
                    listener(ResolverResult.ForResult(addresses));
                }
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                // The channel was disposed.
            }
            catch (Exception e)
            {
                // Nobody awaits this task: what went wrong reaches the calls, as their status.
                listener(ResolverResult.ForFailure(new Status(StatusCode.Unavailable, $"The members of '{role}' cannot be watched.", e)));
            }
        }
    }
}
