using System.Net;
using DistributedPatterns.Members;
using DistributedPatterns.Tests.Pipeline;
using DistributedPatterns.Tests.Support;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.ResourcePooling;

/// <summary>Workers with pooled connections as hosts in this process, on real sockets and a real Redis; only membership is by hand.</summary>
internal sealed class PooledWorkers : IAsyncDisposable
{
    private readonly FixedMembers _members = new();
    private readonly MemberChannels _channels;
    private readonly List<(WebApplication App, ConnectionMultiplexer Redis)> _workers = [];
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("pool-workers-");

    private PooledWorkers() => _channels = new MemberChannels(_members, Options.Create(new MembersOptions()), TimeProvider.System, NullLoggerFactory.Instance);

    public IMembers Members => _members;

    public IMemberChannels Channels => _channels;

    public static async Task<PooledWorkers> StartAsync(RedisBackend server, int permits)
    {
        var (workers, tag) = (new PooledWorkers(), SharedRedis.NewTag());
        for (var i = 0; i < 2; i++) await workers.AddAsync($"worker-{i}", server, tag, permits);
        return workers;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var (app, redis) in _workers)
        {
            await app.DisposeAsync();
            await redis.DisposeAsync();
        }
        _channels.Dispose();
        _folder.Delete(recursive: true);
    }

    private async Task AddAsync(string name, RedisBackend server, string tag, int permits)
    {
        var redis = await server.ConnectAsync();
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Configuration["Data:Path"] = _folder.FullName;
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2));
        builder.Services.Configure<MembersOptions>(options => (options.Id, options.Role) = (name, "worker"));
        builder.Services.AddSingleton<IConnectionMultiplexer>(redis).AddPooledWorker(options =>
            (options.KeyTag, options.Permits, options.LeakLimit, options.Lease) = (tag, permits, TimeSpan.FromMilliseconds(200), TimeSpan.FromMinutes(1)));
        var app = builder.Build();
        app.MapPooledWork();
        await app.StartAsync(TestContext.Current.CancellationToken);
        _members.Join(name, "worker", $"{_workers.Count}", new Uri(app.Urls.Single()));
        _workers.Add((app, redis));
    }
}
