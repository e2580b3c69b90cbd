using System.Globalization;
using DistributedPatterns.Benchmarks.Harness;
using DistributedPatterns.Members;
using DistributedPatterns.Supervision;
using DistributedPatterns.Supervision.Engine;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using StackExchange.Redis;

namespace DistributedPatterns.Benchmarks.Supervision;

/// <summary>Children that keep a count, each with one write under way.</summary>
internal abstract class Writers(string name, int operations, SharedServices shared) : ThroughputContender(name, operations)
{
    public const int Children = 8;

    protected static string[] Names { get; } = [.. Enumerable.Range(0, Children).Select(i => string.Create(CultureInfo.InvariantCulture, $"child-{i}"))];

    protected string Tag { get; } = $"bench-{Guid.NewGuid():N}";

    protected IDatabase Database { get; private set; } = null!;

    protected RedisKey Values => $"{{{Tag}}}:values";

    public override async Task<string?> SetUpAsync()
    {
        var services = await shared.StartAsync();
        Database = services.Connection.GetDatabase();
        await PrepareAsync(services.Connection);
        return null;
    }

    public override ValueTask TearDownAsync() => shared.StopAsync();

    public override async Task<TimeSpan?> RunAsync(int operations)
    {
        var each = operations / Children;
        await Task.WhenAll(Enumerable.Range(0, Children).Select(child => Task.Run(async () =>
        {
            for (var count = 1; count <= each; count++) await WriteAsync(child, count.ToString(CultureInfo.InvariantCulture));
        })));
        foreach (var name in Names)
        {
            var kept = (string?)await Database.HashGetAsync(Values, name);
            if (kept?.Split(' ')[^1] != each.ToString(CultureInfo.InvariantCulture)) throw new InvalidOperationException($"{Name}: {name} keeps {kept}, not {each}.");
        }
        return null;
    }

    protected virtual Task PrepareAsync(IConnectionMultiplexer redis) => Task.CompletedTask;

    protected abstract Task WriteAsync(int child, string value);
}

internal sealed class FencedWrites(string name, int operations, SharedServices shared) : Writers(name, operations, shared)
{
    private readonly long[] _epochs = new long[Children];
    private RedisSupervisorScript _script = null!;

    protected override async Task PrepareAsync(IConnectionMultiplexer redis)
    {
        var options = new RedisLeaseSupervisorOptions { KeyTag = Tag, Lease = TimeSpan.FromMinutes(10) };
        _script = new RedisSupervisorScript(redis, new ChildCatalog(Names.Select(child => new ChildDefinition(child, (_, _) => Task.CompletedTask))), Options.Create(options), TimeProvider.System);
        for (RedisValue[] report = []; _epochs.Contains(0);)
        {
            var reply = await _script.CallOnceAsync("beat", "bench", report);
            report = [];
            for (var at = 4; at < reply.Length; at += 4)
            {
                _epochs[Array.IndexOf(Names, (string)reply[at]!)] = (long)reply[at + 1];
                report = [.. report, (string)reply[at]!, (long)reply[at + 1], "up", ""];
            }
        }
    }

    protected override Task WriteAsync(int child, string value) => _script.WriteAsync(Names[child], _epochs[child], value, CancellationToken.None).AsTask();
}

/// <summary>What is written most: look whether one is still the owner, then write. Between the two anything can happen.</summary>
internal sealed class CheckThenWrite(string name, int operations, SharedServices shared) : Writers(name, operations, shared)
{
    private RedisKey Owner => $"{{{Tag}}}:owner";

    protected override Task PrepareAsync(IConnectionMultiplexer redis) => Database.StringSetAsync(Owner, "bench");

    protected override async Task WriteAsync(int child, string value)
    {
        if (await Database.StringGetAsync(Owner) != "bench") throw new InvalidOperationException("Somebody else is the owner.");
        await Database.HashSetAsync(Values, Names[child], value);
    }
}

internal sealed class BareWrites(string name, int operations, SharedServices shared) : Writers(name, operations, shared)
{
    protected override Task WriteAsync(int child, string value) => Database.HashSetAsync(Values, Names[child], value);
}

/// <summary>A process takes a child and is not heard of again; another one is there. Each sample has a supervisor of its own.</summary>
internal sealed class TakeOver(string name, int samples, SharedServices shared) : LatencyContender(name, samples)
{
    public static readonly TimeSpan Lease = TimeSpan.FromMilliseconds(500);
    public static readonly TimeSpan PollEvery = TimeSpan.FromMilliseconds(50);

    private IConnectionMultiplexer _redis = null!;

    public override async Task<string?> SetUpAsync()
    {
        _redis = (await shared.StartAsync()).Connection;
        return null;
    }

    public override ValueTask TearDownAsync() => shared.StopAsync();

    public override async Task<double[]> SampleAsync(int samples)
    {
        var took = new double[samples];
        for (var i = 0; i < samples; i++) took[i] = await SampleAsync();
        return took;
    }

    private async Task<double> SampleAsync()
    {
        var tag = $"bench-{Guid.NewGuid():N}";
        var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddSingleton(_redis).AddLogging().Configure<MembersOptions>(options => options.Id = "live")
            .AddSupervisedChild("child", _ => (_, token) =>
            {
                started.TrySetResult();
                return Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, token);
            })
            .AddRedisChildRunner(options => (options.KeyTag, options.Lease, options.PollEvery, options.FirstPause) = (tag, Lease, PollEvery, TimeSpan.Zero));
        using var host = builder.Build();
        var since = TimeProvider.System.GetTimestamp();
        var reply = await host.Services.GetRequiredService<RedisSupervisorScript>().CallOnceAsync("beat", "dead");
        if (reply.Length != 8) throw new InvalidOperationException("The process that is to die got no child.");
        await host.StartAsync();
        await started.Task;
        var took = TimeProvider.System.GetElapsedTime(since).TotalMicroseconds;
        await host.StopAsync();
        return took;
    }
}
