using DistributedPatterns.Diagnostics;
using DistributedPatterns.Pipeline;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace DistributedPatterns.PatternCli.Pipelines;

/// <summary>A run inside this program.</summary>
internal sealed class ProcessRun : IWatchedRun
{
    private static readonly TimeSpan s_lookEvery = TimeSpan.FromMilliseconds(100);

    private readonly ServiceProvider _services;
    private readonly IPipelineRun _run;

    private ProcessRun(ServiceProvider services, IPipelineRun run) => (_services, _run) = (services, run);

    public string Where => "in this process";

    public static async Task<IWatchedRun> StartAsync(string sample, FileInfo? file)
    {
        var input = file?.Name ?? sample;
        var services = new ServiceCollection()
            .AddSingleton<IConfiguration>(new ConfigurationBuilder().AddEnvironmentVariables().Build())
            .AddChannelPipeline()
            .AddPipelineScenarios(options =>
            {
                if (file is not null) options.Files[input] = file.FullName;
            })
            .BuildServiceProvider();
        try
        {
            return new ProcessRun(services, await services.GetRequiredKeyedService<IPipeline>(Variants.Channel).StartAsync(new(UnicodePipeline.Name, input)));
        }
        catch (PipelineException refused)
        {
            await services.DisposeAsync();
            throw new RunUnavailableException(refused.Message, refused);
        }
    }

    public async IAsyncEnumerable<PipelineStatus> WatchAsync()
    {
        var time = _services.GetRequiredService<TimeProvider>();
        var ended = _run.WaitAsync();
        while (!ended.IsCompleted)
        {
            yield return await _run.GetStatusAsync();
            await Task.WhenAny(ended, Task.Delay(s_lookEvery, time));
        }
        yield return await ended;
    }

    public Task StopAsync(PipelineStop how) => _run.StopAsync(how).AsTask();

    public ValueTask DisposeAsync() => _services.DisposeAsync();
}
