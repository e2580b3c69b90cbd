using System.Net;
using DistributedPatterns.Members;
using DistributedPatterns.Pipeline;
using DistributedPatterns.Tests.Support;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.Pipeline;

/// <summary>Producers, workers and reducers as hosts in this process, on real sockets and a real Redis; only membership is by hand.</summary>
internal sealed class GrpcPipelineCluster : IAsyncDisposable
{
    private readonly FixedMembers _members = new();
    private readonly MemberChannels _channels;
    private readonly List<Node> _nodes = [];
    private readonly ConnectionMultiplexer _redis;
    private readonly PipelineDefinition[] _definitions;
    private readonly Action<GrpcPipelineOptions> _configure;
    private int _started;

    private GrpcPipelineCluster(ConnectionMultiplexer redis, PipelineDefinition[] definitions, Action<GrpcPipelineOptions> configure)
    {
        var tag = SharedRedis.NewTag();
        (_redis, _definitions) = (redis, definitions);
        _configure = options =>
        {
            options.KeyTag = tag;
            configure(options);
        };
        _channels = new MemberChannels(_members, Options.Create(new MembersOptions { Lease = TimeSpan.FromSeconds(30) }), TimeProvider.System, NullLoggerFactory.Instance);
        var options = new GrpcPipelineOptions();
        _configure(options);
        Pipeline = new GrpcPipeline(redis, new PipelineCatalog(definitions), Options.Create(options), TimeProvider.System);
    }

    public GrpcPipeline Pipeline { get; }

    public static async Task<GrpcPipelineCluster> StartAsync(
        IRedisServer server, PipelineDefinition[] definitions, Action<GrpcPipelineOptions>? configure = null,
        int producers = 1, int workers = 3, int reducers = 2)
    {
        var redis = await server.ConnectAsync();
        var cluster = new GrpcPipelineCluster(redis, definitions, configure ?? (_ => { }));
        for (var i = 0; i < reducers; i++) await cluster.AddAsync("reducer");
        for (var i = 0; i < workers; i++) await cluster.AddAsync("worker");
        for (var i = 0; i < producers; i++) await cluster.AddAsync("producer");
        return cluster;
    }

    /// <summary>Starts another process's worth of a role.</summary>
    public async Task<Node> AddAsync(string role)
    {
        var number = Interlocked.Increment(ref _started);
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2));
        var view = new FixedMembers.View(_members);
        builder.Services.AddSingleton<IMembers>(view).AddSingleton<IMemberChannels>(_channels).AddSingleton<IConnectionMultiplexer>(_redis);
        foreach (var definition in _definitions) builder.Services.AddSingleton(definition);
        switch (role)
        {
            case "producer": builder.Services.AddPipelineProducer(_configure); break;
            case "worker": builder.Services.AddPipelineWorker(); break;
            case "reducer": builder.Services.AddPipelineReducer(); break;
        }
        var app = builder.Build();
        if (role == "worker") app.MapPipelineWorker();
        if (role == "reducer") app.MapPipelineReducer();
        await app.StartAsync();
        var member = _members.Join($"{role}-{number}", role, $"{number}", new Uri(app.Urls.Single()));
        view.Self = member;
        var node = new Node(app, member);
        _nodes.Add(node);
        return node;
    }

    /// <summary>Ends a process's worth without a word: its connections break, its lease runs out.</summary>
    public async Task KillAsync(Node node)
    {
        _nodes.Remove(node);
        await node.App.StopAsync(new CancellationToken(canceled: true));
        _members.Leave(node.Member);
        await node.App.DisposeAsync();
    }

    public Node Any(string role) => _nodes.First(node => node.Member.Role == role);

    /// <summary>Lets a member's lease run out while it lives on, as a frozen process does.</summary>
    public void Expire(Node node) => _members.Leave(node.Member);

    public async ValueTask DisposeAsync()
    {
        foreach (var node in _nodes.AsEnumerable().Reverse())
        {
            await node.App.StopAsync();
            await node.App.DisposeAsync();
        }
        _channels.Dispose();
        await _redis.DisposeAsync();
    }

    internal sealed record Node(WebApplication App, Member Member);
}
