using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace DistributedPatterns.Tests.FanOutFanIn;

/// <summary>A wire that a test can cut, or let go dead without a word, as a frozen process or a lost network does.</summary>
internal sealed class CuttableProxy : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly ConcurrentBag<TcpClient> _ends = [];
    private readonly CancellationTokenSource _stop = new();
    private readonly Uri _target;
    private readonly Task _accepting;
    private volatile TaskCompletionSource _flowing = new();

    public CuttableProxy(Uri target)
    {
        _target = target;
        _flowing.SetResult();
        _listener.Start();
        _accepting = AcceptAsync();
    }

    public Uri Address => new($"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}");

    /// <summary>Breaks all connections; new ones work.</summary>
    public void Cut()
    {
        foreach (var end in _ends) end.Close();
    }

    /// <summary>Passes nothing on any more, and breaks nothing.</summary>
    public void Freeze() => _flowing = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _flowing.TrySetResult();
        _listener.Stop();
        Cut();
        await _accepting;
    }

    private async Task AcceptAsync()
    {
        var passing = new List<Task>();
        try
        {
            while (true)
            {
                var near = await _listener.AcceptTcpClientAsync(_stop.Token);
                var far = new TcpClient { NoDelay = true };
                near.NoDelay = true;
                _ends.Add(near);
                _ends.Add(far);
                try
                {
                    await far.ConnectAsync(_target.Host, _target.Port, _stop.Token);
                }
                catch (Exception error) when (error is SocketException or ObjectDisposedException)
                {
                    near.Close(); // the target is gone, or the connection was cut before it was through
                    far.Close();
                    continue;
                }
                passing.Add(PassAsync(near, far));
                passing.Add(PassAsync(far, near));
            }
        }
        catch (Exception error) when (error is OperationCanceledException or SocketException or InvalidOperationException)
        {
            // Stopped while it accepts or before, or the target is gone.
        }
        await Task.WhenAll(passing);
    }

    private async Task PassAsync(TcpClient from, TcpClient to)
    {
        try
        {
            var (source, target, socket, block) = (from.GetStream(), to.GetStream(), to.Client, new byte[64 * 1024]);
            while (await source.ReadAsync(block, _stop.Token) is > 0 and var read)
            {
                await _flowing.Task.WaitAsync(_stop.Token);
                await target.WriteAsync(block.AsMemory(0, read), _stop.Token);
            }
            socket.Shutdown(SocketShutdown.Send);
        }
        catch (Exception error) when (error is IOException or SocketException or ObjectDisposedException or InvalidOperationException or OperationCanceledException)
        {
            from.Close();
            to.Close();
        }
    }
}
