using System.Collections.Concurrent;
using Grpc.Core;
using Grpc.Net.Client;
using Grpc.Net.Client.Balancer;
using Grpc.Net.Client.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Members;

/// <summary>One channel a role and one a member, on handlers of their own.</summary>
/// <remarks>
/// Not through HTTP client defaults: their attempt limit would cut a stream and play it again. HTTP/2 without TLS, stated,
/// not guessed. Ping frames find a peer that is frozen or cut off within about the lease.
/// </remarks>
internal sealed class MemberChannels : IMemberChannels, IDisposable
{
    private static readonly TimeSpan s_shortestPing = TimeSpan.FromSeconds(1);

    private readonly ConcurrentDictionary<string, Lazy<GrpcChannel>> _roles = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<Member, Lazy<GrpcChannel>> _members = new();
    private readonly ConcurrentDictionary<ITimer, GrpcChannel> _retired = new();
    private readonly ServiceProvider _balancing;
    private readonly IMembers _directory;
    private readonly MembersOptions _options;
    private readonly TimeProvider _clock;
    private readonly ILoggerFactory _logging;

    public MemberChannels(IMembers members, IOptions<MembersOptions> options, TimeProvider clock, ILoggerFactory logging)
    {
        (_directory, _options, _clock, _logging) = (members, options.Value, clock, logging);
        // gRPC asks a service provider for both factories; one of its own keeps them out of other channels.
        _balancing = new ServiceCollection()
            .AddSingleton<ResolverFactory>(new MemberResolverFactory(members))
            .AddSingleton<LoadBalancerFactory>(new MemberBalancerFactory())
            .BuildServiceProvider();
    }

    public GrpcChannel To(string role) => _roles.GetOrAdd(role, name => new Lazy<GrpcChannel>(() => Open(name))).Value;

    public GrpcChannel To(Member member)
    {
        ArgumentNullException.ThrowIfNull(member);
        var mine = new Lazy<GrpcChannel>(() => Open(member));
        var channel = _members.GetOrAdd(member, mine);
        var opened = channel.Value;
        if (channel == mine)
            member.Left.Register(() => Retire(member, opened));
        return opened;
    }

    public GrpcChannel Open(Member member)
    {
        ArgumentNullException.ThrowIfNull(member);
        var address = member.Grpc ?? throw new ArgumentException($"Member '{member.Id}' serves no gRPC: set its GRPC_PORT.", nameof(member));
        return GrpcChannel.ForAddress(address, ChannelOptions(_ => member));
    }

    public void Dispose()
    {
        foreach (var channel in _roles.Values.Concat(_members.Values))
            channel.Value.Dispose();
        foreach (var (timer, channel) in _retired)
        {
            timer.Dispose();
            channel.Dispose();
        }
        _balancing.Dispose();
    }

    private GrpcChannel Open(string role)
    {
        var options = ChannelOptions(uri => _directory.Live(role).FirstOrDefault(member => member.Grpc?.Authority == uri.Authority));
        options.ServiceProvider = _balancing;
        options.ServiceConfig = new ServiceConfig { LoadBalancingConfigs = { new LoadBalancingConfig(MemberBalancerFactory.Policy) } };
        return GrpcChannel.ForAddress($"{MemberResolverFactory.Scheme}:///{role}", options);
    }

    private void Retire(Member member, GrpcChannel channel)
    {
        _members.TryRemove(member, out _);
        // Not at once: its calls end by the member's token, as UNAVAILABLE; disposing now would end them as cancelled.
        ITimer? timer = null;
        timer = _clock.CreateTimer(_ => Close(timer), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _retired[timer] = channel;
        timer.Change(_options.Lease, Timeout.InfiniteTimeSpan);
    }

    private void Close(ITimer? timer)
    {
        if (timer is null || !_retired.TryRemove(timer, out var channel))
            return;
        channel.Dispose();
        timer.Dispose();
    }

    private GrpcChannelOptions ChannelOptions(Func<Uri, Member?> find)
    {
        var ping = _options.BeatEvery > s_shortestPing ? _options.BeatEvery : s_shortestPing;
        return new GrpcChannelOptions
        {
            Credentials = ChannelCredentials.Insecure,
            DisposeHttpClient = true,
            LoggerFactory = _logging,
            // A restarted member is back within seconds; the default waits up to two minutes.
            InitialReconnectBackoff = TimeSpan.FromMilliseconds(100),
            MaxReconnectBackoff = TimeSpan.FromSeconds(2),
            HttpHandler = new MemberAddressHandler(find, new SocketsHttpHandler
            {
                EnableMultipleHttp2Connections = true,
                KeepAlivePingDelay = ping,
                KeepAlivePingTimeout = ping,
                KeepAlivePingPolicy = HttpKeepAlivePingPolicy.WithActiveRequests,
                ConnectTimeout = _options.Lease,
                PooledConnectionIdleTimeout = TimeSpan.FromMinutes(5),
                // Streams carry batches of items; the default window of 64 KiB would stop them once a batch or two.
                InitialHttp2StreamWindowSize = 1024 * 1024,
                UseProxy = false,
            }),
        };
    }
}
