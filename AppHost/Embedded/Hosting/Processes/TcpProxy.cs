using System.Net;
using System.Net.Sockets;

namespace Aspire.Hosting.Processes;

/// <summary>Listens on an endpoint's public port and carries each connection to one live replica, chosen at random.</summary>
/// <remarks>
/// It knows bytes only: a client that keeps a connection stays with its replica until either side closes. A replica that
/// refuses is passed over for another; with none left the client's connection closes.
/// </remarks>
internal sealed class TcpProxy : IAsyncDisposable
{
    private readonly Socket _listener;
    private readonly CancellationTokenSource _stopping = new();
    private readonly Lock _lock = new();
    private readonly HashSet<Task> _connections = [];
    private readonly Task _accepting;
    private volatile int[] _targets = [];
    private int _sweepAt = 64;

    /// <exception cref="SocketException">The port is taken.</exception>
    public TcpProxy(int port)
    {
        _listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            _listener.Bind(new IPEndPoint(IPAddress.Loopback, port));
            _listener.Listen();
        }
        catch (SocketException)
        {
            _listener.Dispose();
            throw;
        }

        Port = ((IPEndPoint)_listener.LocalEndPoint!).Port;
        _accepting = AcceptAsync();
    }

    public int Port { get; }

    public void Add(int target)
    {
        lock (_lock)
        {
            _targets = [.. _targets, target];
        }
    }

    /// <summary>Sends no new connection to a replica; those it has go on.</summary>
    public void Remove(int target)
    {
        lock (_lock)
        {
            _targets = [.. _targets.Where(t => t != target)];
        }
    }

    public async ValueTask DisposeAsync()
    {
        // The source is not disposed: it has no timer and no handle, and a second call must find it usable.
        await _stopping.CancelAsync();
        _listener.Dispose();
        await _accepting;
        Task[] connections;
        lock (_lock)
        {
            connections = [.. _connections];
        }

        await Task.WhenAll(connections);
    }

    private async Task AcceptAsync()
    {
        while (!_stopping.IsCancellationRequested)
        {
            try
            {
                Track(CarryAsync(await _listener.AcceptAsync(_stopping.Token)));
            }
            catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
            {
                return;
            }
            catch (SocketException)
            {
                // The client was gone before it was accepted, or descriptors ran out; the next one may do better.
                await Task.Yield();
            }
        }
    }

    private void Track(Task connection)
    {
        lock (_lock)
        {
            // Swept as often as the number doubles, so that a connection costs no walk over all others.
            if (_connections.Count >= _sweepAt)
            {
                _connections.RemoveWhere(c => c.IsCompleted);
                _sweepAt = Math.Max(64, 2 * _connections.Count);
            }

            _connections.Add(connection);
        }
    }

    private async Task CarryAsync(Socket client)
    {
        using (client)
        {
            try
            {
                using var replica = await ConnectAsync();
                if (replica is null)
                {
                    return;
                }

                client.NoDelay = replica.NoDelay = true;
                await Task.WhenAll(PumpAsync(client, replica), PumpAsync(replica, client));
            }
            catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                // One side broke off. Closing both is all a proxy can tell the other.
            }
        }
    }

    private async Task<Socket?> ConnectAsync()
    {
        var candidates = _targets.ToArray();
        Random.Shared.Shuffle(candidates);
        foreach (var port in candidates)
        {
            var replica = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                await replica.ConnectAsync(IPAddress.Loopback, port, _stopping.Token);
                return replica;
            }
            catch (SocketException)
            {
                replica.Dispose();
            }
            catch (OperationCanceledException)
            {
                replica.Dispose();
                throw;
            }
        }

        return null;
    }

    /// <summary>Carries one direction to its end, then closes that direction only: the answer may still be on its way.</summary>
    private async Task PumpAsync(Socket from, Socket to)
    {
        try
        {
            var buffer = GC.AllocateUninitializedArray<byte>(16 * 1024);
            int read;
            while ((read = await from.ReceiveAsync(buffer, _stopping.Token)) > 0)
            {
                for (var sent = 0; sent < read;)
                {
                    sent += await to.SendAsync(buffer.AsMemory(sent, read - sent), _stopping.Token);
                }
            }

            to.Shutdown(SocketShutdown.Send);
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // A broken side must end the other direction too, which may wait for bytes that never come.
            from.Close();
            to.Close();
        }
    }
}
