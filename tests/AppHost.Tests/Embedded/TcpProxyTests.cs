using System.Net;
using System.Net.Sockets;
using System.Text;
using Aspire.Hosting.Processes;

namespace DistributedPatterns.Tests;

public sealed class TcpProxyTests : IAsyncLifetime
{
    private readonly CancellationTokenSource _limit = RunningSystem.Limit(TimeSpan.FromSeconds(20));
    private readonly TcpProxy _proxy = new(0);

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        await _proxy.DisposeAsync();
        _limit.Dispose();
    }

    [Fact]
    public async Task Connect_SeveralReplicas_AllAreChosen()
    {
        await using var one = new NamedServer("one");
        await using var two = new NamedServer("two");
        _proxy.Add(one.Port);
        _proxy.Add(two.Port);

        var answers = new HashSet<string>();
        while (answers.Count < 2)
        {
            answers.Add(await AskAsync());
        }

        Assert.Equal(["one", "two"], answers.Order());
    }

    [Fact]
    public async Task Connect_OneReplicaDied_ReachesTheOthersOnly()
    {
        await using var living = new NamedServer("living");
        var dead = new NamedServer("dead");
        _proxy.Add(living.Port);
        _proxy.Add(dead.Port);
        await dead.DisposeAsync();

        for (var i = 0; i < 20; i++)
        {
            Assert.Equal("living", await AskAsync());
        }
    }

    [Fact]
    public async Task Connect_ReplicaRemoved_KeepsItsConnectionsAndGetsNoNew()
    {
        await using var leaving = new NamedServer("leaving");
        await using var staying = new NamedServer("staying");
        _proxy.Add(leaving.Port);
        using var kept = await ConnectAsync();
        await leaving.Accepted.WaitAsync(_limit.Token); // connected to the proxy is not yet carried to a replica
        _proxy.Add(staying.Port);
        _proxy.Remove(leaving.Port);

        Assert.Equal("staying", await AskAsync());
        Assert.Equal("leaving", await FinishAsync(kept));
    }

    [Fact]
    public async Task Connect_NoReplica_IsClosed()
    {
        Assert.Equal("", await AskAsync());
    }

    [Fact]
    public async Task HalfClose_TheAnswerStillArrives()
    {
        await using var server = new NamedServer("answer after the end of the question");
        _proxy.Add(server.Port);

        // The server answers only when it has seen the client's end of stream.
        Assert.Equal("answer after the end of the question", await AskAsync());
        Assert.Equal("question", server.LastQuestion);
    }

    [Fact]
    public async Task Transfer_Megabytes_ArriveUnchanged()
    {
        var text = string.Concat(Enumerable.Range(0, 500_000).Select(i => (char)('a' + (i % 26))));
        await using var server = new NamedServer(text);
        _proxy.Add(server.Port);

        Assert.Equal(text, await AskAsync());
    }

    [Fact]
    public async Task Dispose_WithOpenConnection_ClosesIt()
    {
        await using var server = new NamedServer("never asked");
        _proxy.Add(server.Port);
        using var client = await ConnectAsync();
        await server.Accepted.WaitAsync(_limit.Token);

        await _proxy.DisposeAsync();

        var buffer = new byte[1];
        try
        {
            Assert.Equal(0, await client.GetStream().ReadAsync(buffer, _limit.Token));
        }
        catch (IOException)
        {
            // A reset tells the same.
        }
    }

    [Fact]
    public void Constructor_PortTaken_Throws() => Assert.Throws<SocketException>(() => new TcpProxy(_proxy.Port));

    private async Task<string> AskAsync()
    {
        using var client = await ConnectAsync();
        return await FinishAsync(client);
    }

    private async Task<TcpClient> ConnectAsync()
    {
        var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, _proxy.Port, _limit.Token);
        await client.GetStream().WriteAsync("question"u8.ToArray(), _limit.Token);
        return client;
    }

    private async Task<string> FinishAsync(TcpClient client)
    {
        try
        {
            using var reader = new StreamReader(client.GetStream(), Encoding.ASCII);
            client.Client.Shutdown(SocketShutdown.Send);
            return await reader.ReadToEndAsync(_limit.Token);
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            return "";
        }
    }

    /// <summary>Reads a question to its end, answers with its name, and closes.</summary>
    private sealed class NamedServer : IAsyncDisposable
    {
        private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
        private readonly TaskCompletionSource _accepted = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly Task _serving;

        public NamedServer(string name)
        {
            _listener.Start();
            _serving = ServeAsync(name);
        }

        public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

        public Task Accepted => _accepted.Task;

        public string? LastQuestion { get; private set; }

        public async ValueTask DisposeAsync()
        {
            _listener.Dispose();
            await _serving;
        }

        private async Task ServeAsync(string name)
        {
            var connections = new List<Task>();
            try
            {
                while (true)
                {
                    connections.Add(AnswerAsync(await _listener.AcceptTcpClientAsync(), name));
                    _accepted.TrySetResult();
                }
            }
            catch (Exception e) when (e is SocketException or InvalidOperationException) // stopped while it accepts, or before
            {
                await Task.WhenAll(connections);
            }
        }

        private async Task AnswerAsync(TcpClient client, string name)
        {
            using (client)
            {
                try
                {
                    using var reader = new StreamReader(client.GetStream(), Encoding.ASCII, leaveOpen: true);
                    LastQuestion = await reader.ReadToEndAsync();
                    await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes(name));
                }
                catch (IOException)
                {
                    // The proxy closed it.
                }
            }
        }
    }
}
