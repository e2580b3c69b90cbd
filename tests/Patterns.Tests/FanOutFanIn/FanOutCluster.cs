using System.Net;
using DistributedPatterns.FanOutFanIn;
using DistributedPatterns.FanOutFanIn.Protocol;
using DistributedPatterns.Members;
using DistributedPatterns.Tests.Pipeline;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Tests.FanOutFanIn;

/// <summary>A caller and workers as hosts in this process, on real sockets; only membership is by hand.</summary>
internal sealed class FanOutCluster : IAsyncDisposable
{
    private readonly FixedMembers _members = new();
    private readonly MemberChannels _channels;
    private readonly List<Node> _nodes = [];
    private readonly BranchDefinition[] _branches;
    private int _started;

    private FanOutCluster(BranchDefinition[] branches, GrpcScatterGatherOptions options)
    {
        _branches = branches;
        _channels = new MemberChannels(_members, Options.Create(new MembersOptions { Lease = TimeSpan.FromSeconds(30) }), TimeProvider.System, NullLoggerFactory.Instance);
        Scatter = new GrpcScatterGather(
            new BranchCatalog(branches), _members, _channels, Options.Create(options), TimeProvider.System, NullLogger<GrpcScatterGather>.Instance);
    }

    public GrpcScatterGather Scatter { get; }

    public IReadOnlyList<Node> Nodes => _nodes;

    /// <summary>Gets the workers, for a caller that is no <see cref="Scatter"/>.</summary>
    public IMembers Members => _members;

    public IMemberChannels Channels => _channels;

    public static async Task<FanOutCluster> StartAsync(BranchDefinition[] branches, int workers = 3, Action<GrpcScatterGatherOptions>? configure = null)
    {
        var options = new GrpcScatterGatherOptions();
        configure?.Invoke(options);
        var cluster = new FanOutCluster(branches, options);
        for (var i = 0; i < workers; i++) await cluster.AddAsync();
        return cluster;
    }

    /// <summary>Starts another worker, with other branches if it should not know those of the caller.</summary>
    public Task<Node> AddAsync(params BranchDefinition[] others) => AddAsync(app => app.MapFanOutWorker(), others);

    /// <summary>Starts somebody who takes a worker's place with a service of its own.</summary>
    public Task<Node> AddAsync<TService>() where TService : FanOutWorker.FanOutWorkerBase => AddAsync(app => app.MapGrpcService<TService>());

    private async Task<Node> AddAsync(Action<WebApplication> map, params BranchDefinition[] others)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2));
        foreach (var branch in others.Length > 0 ? others : _branches) builder.Services.AddSingleton(branch);
        builder.Services.AddFanOutWorker();
        var app = builder.Build();
        map(app);
        await app.StartAsync();
        var node = new Node(app, Join(new Uri(app.Urls.Single())));
        _nodes.Add(node);
        return node;
    }

    /// <summary>Lets somebody who may not be one take part as a worker.</summary>
    public Member Join(Uri address)
    {
        var number = Interlocked.Increment(ref _started);
        return _members.Join($"worker-{number}", "worker", $"{number}", address);
    }

    /// <summary>Ends a worker without a word: its connections break, its lease runs out.</summary>
    public async Task KillAsync(Node node)
    {
        _nodes.Remove(node);
        await node.App.StopAsync(new CancellationToken(canceled: true));
        _members.Leave(node.Member);
        await node.App.DisposeAsync();
    }

    /// <summary>Lets a worker's lease run out while it lives on, as a frozen process does.</summary>
    public void Expire(Member member) => _members.Leave(member);

    public async ValueTask DisposeAsync()
    {
        await Scatter.DisposeAsync();
        foreach (var node in _nodes)
        {
            await node.App.StopAsync();
            await node.App.DisposeAsync();
        }
        _channels.Dispose();
    }

    internal sealed record Node(WebApplication App, Member Member);
}
