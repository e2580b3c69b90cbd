using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using DistributedPatterns.Members;
using Grpc.Core;
using Grpc.Net.Client;

namespace DistributedPatterns.Tests.Pipeline;

/// <summary>Members that join and leave when a test says so.</summary>
internal sealed class FixedMembers : IMembers, IMemberChannels, IDisposable
{
    private readonly ConcurrentDictionary<Member, CancellationTokenSource> _living = [];
    private readonly ConcurrentDictionary<string, GrpcChannel> _channels = [];

    public Member? Self => null;

    public Member Join(string id, string role, string start, Uri grpc)
    {
        var left = new CancellationTokenSource();
        var member = new Member(id, role, start, grpc, null, left.Token);
        _living[member] = left;
        return member;
    }

    public void Leave(Member member)
    {
        if (_living.TryRemove(member, out var left)) left.Cancel();
    }

    public IReadOnlyList<Member> Live(string role) => [.. _living.Keys.Where(m => m.Role == role).OrderBy(m => m.Id, StringComparer.Ordinal)];

    public async IAsyncEnumerable<IReadOnlyList<Member>> WatchAsync(string role, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        yield return Live(role);
        await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken);
    }

    public GrpcChannel To(string role) => Live(role) is [var first, ..] ? To(first) : GrpcChannel.ForAddress("http://127.0.0.1:1");

    public GrpcChannel To(Member member) => _channels.GetOrAdd(member.Start, _ => GrpcChannel.ForAddress(member.Grpc!, new GrpcChannelOptions
    {
        Credentials = ChannelCredentials.Insecure,
        HttpHandler = new SocketsHttpHandler { EnableMultipleHttp2Connections = true, InitialHttp2StreamWindowSize = 1024 * 1024 },
        DisposeHttpClient = true,
    }));

    public void Dispose()
    {
        foreach (var channel in _channels.Values) channel.Dispose();
    }

    /// <summary>The same set as one of its members sees it.</summary>
    public sealed class View(FixedMembers all) : IMembers
    {
        public Member? Self { get; set; }

        public IReadOnlyList<Member> Live(string role) => all.Live(role);

        public IAsyncEnumerable<IReadOnlyList<Member>> WatchAsync(string role, CancellationToken cancellationToken) => all.WatchAsync(role, cancellationToken);
    }
}
