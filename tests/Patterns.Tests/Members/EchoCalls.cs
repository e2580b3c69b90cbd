using Grpc.Core;

namespace DistributedPatterns.Tests.Members;

/// <summary>Calls to the worker processes of a fleet.</summary>
internal static class EchoCalls
{
    /// <summary>Asks who answers.</summary>
    public static AsyncUnaryCall<WhoReply> WhoAsync(Echo.EchoClient client, TimeSpan limit) => AskAsync(client, new WhoRequest(), limit);

    /// <summary>Makes a call that stays open.</summary>
    public static AsyncUnaryCall<WhoReply> HoldAsync(Echo.EchoClient client, TimeSpan limit) => AskAsync(client, new WhoRequest { Hold = true }, limit);

    private static AsyncUnaryCall<WhoReply> AskAsync(Echo.EchoClient client, WhoRequest request, TimeSpan limit) => client.WhoAsync(
        request, deadline: (TimeProvider.System.GetUtcNow() + limit).UtcDateTime, cancellationToken: TestContext.Current.CancellationToken);
}
