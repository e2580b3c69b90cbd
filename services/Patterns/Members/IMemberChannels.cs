using Grpc.Net.Client;

namespace DistributedPatterns.Members;

/// <summary>gRPC channels to the living members, made once and shared; the factory owns them, so never dispose one that you did not <see cref="Open"/>.</summary>
public interface IMemberChannels
{
    /// <summary>Returns the channel that spreads calls over all living members of a service, round robin.</summary>
    /// <remarks>Per call, so a stream stays with the member it began with. With nobody alive a call waits for the first member, within its own deadline.</remarks>
    GrpcChannel To(string role);

    /// <summary>Returns the channel to one member.</summary>
    GrpcChannel To(Member member);

    /// <summary>Opens another channel to one member, with a connection of its own. It is the caller's to dispose.</summary>
    GrpcChannel Open(Member member);
}
