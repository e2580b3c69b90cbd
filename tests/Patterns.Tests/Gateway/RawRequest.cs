using System.Net.Sockets;
using System.Text;

namespace DistributedPatterns.Tests.Gateway;

/// <summary>A request written by hand, for clients that behave as no HTTP library does: half a body, no end, a cut.</summary>
internal sealed class RawRequest : IDisposable
{
    private readonly Socket _socket = new(SocketType.Stream, ProtocolType.Tcp);

    /// <summary>Sends the head of a request; the body is the test's.</summary>
    public static async Task<RawRequest> BeginAsync(Uri gateway, string path, params string[] headers)
    {
        var request = new RawRequest();
        await request._socket.ConnectAsync(gateway.Host, gateway.Port, TestContext.Current.CancellationToken);
        var head = $"POST {path} HTTP/1.1\r\nHost: {gateway.Authority}\r\n{string.Concat(headers.Select(header => header + "\r\n"))}\r\n";
        await request.SendAsync(Encoding.ASCII.GetBytes(head));
        return request;
    }

    public async Task SendAsync(ReadOnlyMemory<byte> bytes)
    {
        while (!bytes.IsEmpty) bytes = bytes[await _socket.SendAsync(bytes, TestContext.Current.CancellationToken)..];
    }

    /// <summary>Sends chunks until so many bytes are sent or the server has enough, and returns how many it let us send.</summary>
    public async Task<long> SendChunksAsync(long bytes)
    {
        const int Size = 64 * 1024;
        byte[] line = [.. Enumerable.Repeat((byte)'a', 99), (byte)'\n'];
        byte[] chunk = [.. "10000\r\n"u8, .. Enumerable.Range(0, Size).Select(i => line[i % line.Length]), .. "\r\n"u8];
        long sent = 0;
        try
        {
            for (; sent < bytes; sent += Size) await SendAsync(chunk);
            await SendAsync("0\r\n\r\n"u8.ToArray());
        }
        catch (SocketException)
        {
            // The server closed the connection.
        }
        return sent;
    }

    /// <summary>Reads the reply until the server ends the connection, and returns its status and the JSON in it.</summary>
    public async Task<(int Status, string Body)> ReadToEndAsync()
    {
        var reply = new StringBuilder();
        var buffer = new byte[4096];
        try
        {
            while (await _socket.ReceiveAsync(buffer, TestContext.Current.CancellationToken) is > 0 and var read)
                reply.Append(Encoding.UTF8.GetString(buffer, 0, read));
        }
        catch (SocketException)
        {
            // What had come before the cut is there.
        }
        var text = reply.ToString();
        Assert.StartsWith("HTTP/1.1 ", text, StringComparison.Ordinal);
        return (int.Parse(text.AsSpan(9, 3), null), text[text.IndexOf('{', StringComparison.Ordinal)..(text.LastIndexOf('}') + 1)]);
    }

    /// <summary>Says that nothing more comes, and listens on.</summary>
    public void EndSending() => _socket.Shutdown(SocketShutdown.Send);

    /// <summary>Cuts the connection without a word (RST).</summary>
    public void Cut()
    {
        _socket.LingerState = new LingerOption(true, 0);
        _socket.Close();
    }

    public void Dispose() => _socket.Dispose();
}
