using DistributedPatterns.Members;
using Grpc.Core;
using Grpc.Net.Client;

namespace DistributedPatterns.ResourcePooling.Work;

/// <summary>A gRPC channel of one's own to a member.</summary>
/// <param name="Member">Who is at the other end.</param>
public sealed record MemberConnection(Member Member, GrpcChannel Channel);

/// <summary>Opens gRPC channels to the living members of a service for a pool, to each as many as to the others.</summary>
/// <remarks>
/// An HTTP/2 connection is a pool of streams itself, usually of 100, and the call beyond waits unseen. Pooled channels, each with a connection of its own,
/// make that wait one with a limit and counts.
/// </remarks>
public sealed class MemberConnections(IMembers members, IMemberChannels channels, string role) : IResourceFactory<MemberConnection>
{
    private readonly Lock _gate = new();
    private readonly Dictionary<Member, int> _open = [];

    /// <inheritdoc/>
    public async ValueTask<MemberConnection> OpenAsync(ResourcePermit permit, CancellationToken cancellationToken)
    {
        await foreach (var live in members.WatchAsync(role, cancellationToken).ConfigureAwait(false))
        {
            if (Choose(live) is not { } member) continue; // waits for the first one
            var channel = channels.Open(member);
            try
            {
                await channel.ConnectAsync(cancellationToken).ConfigureAwait(false);
                return new MemberConnection(member, channel);
            }
            catch
            {
                Forget(member);
                channel.Dispose();
                throw;
            }
        }
        throw new OperationCanceledException(cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask<bool> CheckAsync(MemberConnection resource, CancellationToken cancellationToken) => ValueTask.FromResult(IsAlive(resource));

    /// <inheritdoc/>
    public ValueTask ResetAsync(MemberConnection resource, CancellationToken cancellationToken) =>
        IsAlive(resource) ? ValueTask.CompletedTask : throw new InvalidOperationException($"Member '{resource.Member.Id}' has left.");

    /// <inheritdoc/>
    public ValueTask CloseAsync(MemberConnection resource)
    {
        ArgumentNullException.ThrowIfNull(resource);
        Forget(resource.Member);
        resource.Channel.Dispose();
        return ValueTask.CompletedTask;
    }

    private static bool IsAlive(MemberConnection resource) =>
        !resource.Member.Left.IsCancellationRequested && resource.Channel.State is not (ConnectivityState.TransientFailure or ConnectivityState.Shutdown);

    private Member? Choose(IReadOnlyList<Member> live)
    {
        lock (_gate)
        {
            if (live.Where(member => member.Grpc is not null).MinBy(member => _open.GetValueOrDefault(member)) is not { } least) return null;
            _open[least] = _open.GetValueOrDefault(least) + 1;
            return least;
        }
    }

    private void Forget(Member member)
    {
        lock (_gate)
            if (--_open[member] == 0) _open.Remove(member);
    }
}
