using System.Net;
using System.Net.Sockets;

namespace Aspire.Hosting.Processes;

/// <summary>Ports for replicas to listen on.</summary>
internal static class Ports
{
    /// <summary>
    /// Below the ports that Linux, macOS and Windows give to outgoing connections, since one of those could take a port
    /// between our look at it and the child's bind.
    /// </summary>
    private const int First = 20_000;

    private const int Last = 31_999;

    public static int Free()
    {
        for (var attempt = 0; attempt < 1_000; attempt++)
        {
            var port = Random.Shared.Next(First, Last + 1);
            if (IsFree(port))
            {
                return port;
            }
        }

        throw new DistributedApplicationException($"No free port from {First} to {Last} in 1,000 tries.");
    }

    private static bool IsFree(int port)
    {
        try
        {
            using var probe = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            probe.Bind(new IPEndPoint(IPAddress.Loopback, port));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
