using System.Globalization;
using DistributedPatterns.Members;
using DistributedPatterns.Redis;
using DistributedPatterns.Tests.Members;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.Support;

/// <summary>Worker processes and an onlooker in this process, on one Redis and one group of members.</summary>
internal sealed class MemberFleet : IAsyncDisposable
{
    public const string Role = "worker";

    private readonly RedisBackend _server;
    private readonly string _group = SharedRedis.NewTag();
    private readonly TimeSpan _lease;
    private readonly List<WatchedProcess> _processes = [];
    private readonly ConnectionMultiplexer _redis;
    private readonly IHost _onlooker;

    private MemberFleet(RedisBackend server, TimeSpan lease, ConnectionMultiplexer redis)
    {
        (_server, _lease, _redis) = (server, lease, redis);
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddSingleton<IConnectionMultiplexer>(redis).AddLogging().AddMembers(options =>
        {
            (options.Role, options.Group, options.Lease, options.Announce) = ("tests", _group, lease, false);
        });
        _onlooker = builder.Build();
    }

    public IMembers Members => _onlooker.Services.GetRequiredService<IMembers>();

    public IMemberChannels Channels => _onlooker.Services.GetRequiredService<IMemberChannels>();

    public IReadOnlyList<Member> Live => Members.Live(Role);

    /// <summary>Gets a client that balances over the living workers.</summary>
    public Echo.EchoClient Anyone => new(Channels.To(Role));

    public static async Task<MemberFleet> StartAsync(RedisBackend server, TimeSpan lease)
    {
        var fleet = new MemberFleet(server, lease, await server.ConnectAsync());
        await fleet._onlooker.StartAsync(TestContext.Current.CancellationToken);
        return fleet;
    }

    /// <summary>Starts a worker; it joins when it serves.</summary>
    public async Task<WatchedProcess> LaunchAsync(string instance)
    {
        var process = await WatchedProcess.StartBuiltAsync("MemberProcess", new Dictionary<string, string>
        {
            ["ConnectionStrings__redis"] = _server.ConnectionString,
            ["ASPNETCORE_URLS"] = "http://127.0.0.1:0",
            ["GRPC_PORT"] = "0",
            ["OTEL_SERVICE_NAME"] = Role,
            ["OTEL_RESOURCE_ATTRIBUTES"] = $"service.instance.id={instance}",
            ["Members__Group"] = _group,
            ["Members__Lease"] = _lease.ToString("c", CultureInfo.InvariantCulture),
        });
        _processes.Add(process);
        return process;
    }

    public async Task AddAsync(params string[] instances)
    {
        foreach (var instance in instances)
            await LaunchAsync(instance);
        await LiveIsAsync(TimeSpan.FromSeconds(30), [.. instances]);
    }

    /// <summary>Waits until exactly these instances are alive.</summary>
    public Task LiveIsAsync(TimeSpan limit, params string[] instances) => Eventually.TrueAsync(
        () => Live.Select(member => member.Id).SequenceEqual(instances.Select(instance => $"{Role}-{instance}").Order(StringComparer.Ordinal)),
        limit,
        () => $"alive are [{string.Join(", ", Live.Select(member => member.Id))}], wanted [{string.Join(", ", instances)}]. They said:\n{Output}");

    /// <summary>Asks Redis, not the onlooker, which starts it counts as alive.</summary>
    public async Task<IReadOnlyList<string>> ListAsync()
    {
        var list = (RedisResult[])(await RedisScript.Load("Members/members.lua")
            .EvaluateAsync(_redis.GetDatabase(), [$"{{{_group}}}:beats", $"{{{_group}}}:info"], "list"))!;
        return [.. list.Select(entry => $"{entry[0]} {entry[1]}").Order(StringComparer.Ordinal)];
    }

    public Member Get(string instance) => Live.Single(member => member.Id == $"{Role}-{instance}");

    public string Output => string.Join("\n---\n", _processes.Select(process => process.Output));

    public async ValueTask DisposeAsync()
    {
        foreach (var process in _processes)
            await process.DisposeAsync();
        await _onlooker.StopAsync(CancellationToken.None);
        _onlooker.Dispose();
        await _redis.DisposeAsync();
    }
}
