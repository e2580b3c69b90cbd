using System.Net;
using DistributedPatterns.Deadlines;
using DistributedPatterns.Members;
using DistributedPatterns.Tests.Pipeline;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Tests.Deadlines;

/// <summary>A caller and services as hosts in this process, on real sockets; only membership is by hand.</summary>
internal sealed class OperationsCluster : IAsyncDisposable
{
    private readonly FixedMembers _members = new();
    private readonly MemberChannels _channels;
    private readonly DeadlineRunner _runner;
    private readonly List<Node> _nodes = [];
    private readonly OperationDefinition[] _operations;

    private OperationsCluster(OperationDefinition[] operations)
    {
        _operations = operations;
        _channels = NewChannels();
        _runner = new DeadlineRunner(Options.Create(new DeadlineOptions()), TimeProvider.System, NullLogger<DeadlineRunner>.Instance);
        Calls = new GrpcBudgetedCalls(new OperationCatalog(operations), _runner, _members, _channels);
    }

    public GrpcBudgetedCalls Calls { get; }

    public IMemberChannels Channels => _channels;

    public IMembers Members => _members;

    public static async Task<OperationsCluster> StartAsync(OperationDefinition[] operations, params string[] roles)
    {
        var cluster = new OperationsCluster(operations);
        foreach (var role in roles) await cluster.AddAsync(role);
        return cluster;
    }

    public async Task<Node> AddAsync(string role, Action<DeadlineOptions>? configure = null)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2));
        foreach (var operation in _operations) builder.Services.AddSingleton(operation);
        var name = $"{role}-{_nodes.Count}";
        builder.Services.Configure<MembersOptions>(options => (options.Id, options.Role) = (name, role));
        // A message that is longer on its way than this lets its callee come to the deadline after its caller. It is a tenth of the budget at most.
        builder.Services.Configure<DeadlineOptions>(options => options.Reserve = TimeSpan.FromSeconds(1));
        builder.Services.AddSingleton<IMembers>(_members).AddSingleton<IMemberChannels>(_ => NewChannels()).AddOperations();
        if (configure is not null) builder.Services.Configure(configure);
        var app = builder.Build();
        app.MapOperations();
        await app.StartAsync(TestContext.Current.CancellationToken);
        var node = new Node(app, _members.Join(name, role, $"{_nodes.Count}", new Uri(app.Urls.Single())));
        _nodes.Add(node);
        return node;
    }

    /// <summary>Ends a service without a word: its connections break, its lease runs out.</summary>
    public async Task KillAsync(Node node)
    {
        _nodes.Remove(node);
        _members.Leave(node.Member);
        await node.App.DisposeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var node in _nodes) await node.App.DisposeAsync();
        await _runner.DisposeAsync();
        _channels.Dispose();
    }

    private MemberChannels NewChannels() => new(_members, Options.Create(new MembersOptions { Lease = TimeSpan.FromSeconds(30) }), TimeProvider.System, NullLoggerFactory.Instance);

    internal sealed record Node(WebApplication App, Member Member);
}
