using DistributedPatterns.Diagnostics;
using DistributedPatterns.EventLoop;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace DistributedPatterns.PatternCli.EventLoop;

/// <summary>An event loop inside this program.</summary>
internal sealed class ProcessLoop : IKeyedLoop
{
    private readonly IHost _host;
    private readonly IEventLoop _loop;

    public ProcessLoop()
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Configuration.AddEnvironmentVariables();
        builder.Services.AddLogging().AddTallyHandlers().AddChannelEventLoop(options => options.Name = "this program");
        _host = builder.Build();
        _loop = _host.Services.GetRequiredKeyedService<IEventLoop>(Variants.Channel);
    }

    public string Where => "in this process";

    public async Task PostAsync(string key, IReadOnlyList<LoopEvent> events) => await _loop.PostAsync(new PostRequest(key, events));

    public async Task<KeyState?> ReadAsync(string key) => await _loop.ReadAsync(key);

    public async Task<IReadOnlyList<PartitionStatus>> ReadPartitionsAsync() => (await _loop.GetStatusAsync()).Partitions;

    public async ValueTask DisposeAsync()
    {
        if (_host is IAsyncDisposable host) await host.DisposeAsync();
    }
}
