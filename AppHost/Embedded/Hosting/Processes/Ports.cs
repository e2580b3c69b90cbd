using System.Net;
using System.Net.Sockets;

namespace Aspire.Hosting.Processes;

/// <summary>Ports for services to listen on.</summary>
internal static class Ports
{
    /// <summary>
    /// Below the ports that Linux, macOS and Windows give to outgoing connections, since one of those could take a port
    /// between our look at it and the child's bind.
    /// </summary>
    private const int First = 20_000;

    private const int Last = 31_999;

    // Each port in turn from a random one on: what was given out is free until its service binds it, and must not be given to
    // another one meanwhile. Two hosts on one machine begin at different places.
    private static int s_next = Random.Shared.Next(Last + 1 - First);

    /// <summary>Gives a port of 127.0.0.1 on which nothing listens.</summary>
    /// <exception cref="DistributedApplicationException">None was found.</exception>
    public static int Free()
    {
        for (var attempt = 0; attempt < 1_000; attempt++)
        {
            var port = First + (int)((uint)Interlocked.Increment(ref s_next) % (Last + 1 - First));
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
