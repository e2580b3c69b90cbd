using DistributedPatterns.Diagnostics;
using DistributedPatterns.Pipeline;
using DistributedPatterns.Supervision;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace DistributedPatterns.PatternCli.Supervision;

/// <summary>Supervised children inside this program.</summary>
internal sealed class ProcessSupervised : ISupervised
{
    private readonly IHost _host;
    private readonly ISupervisor _supervisor;

    private ProcessSupervised(IHost host) => (_host, _supervisor) = (host, host.Services.GetRequiredKeyedService<ISupervisor>(Variants.Channel));

    public string Where => "in this process";

    public static async Task<ProcessSupervised> StartAsync(string input, FileInfo? file)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Configuration.AddEnvironmentVariables();
        builder.Services
            .Configure<PipelineInputOptions>(options =>
            {
                if (file is not null) options.Files[input] = file.FullName;
            })
            .AddTailingChildren(options =>
                (options.Input, options.GrowEvery, options.HeartbeatLimit) = (input, TimeSpan.FromMilliseconds(20), TimeSpan.FromSeconds(3)))
            .AddTaskSupervisor(options => (options.Name, options.WhenEscalated) = ("this program", EscalationPolicy.StayDown));
        var host = builder.Build();
        await host.StartAsync();
        return new ProcessSupervised(host);
    }

    public Task<SupervisionTree> ReadAsync() => _supervisor.GetTreeAsync().AsTask();

    public async Task<bool> SignalAsync(string child, ChildSignal signal)
    {
        try
        {
            await _supervisor.SignalAsync(child, signal);
            return true;
        }
        catch (ChildNotRunningException)
        {
            return false;
        }
    }

    public Task ResetAsync() => _supervisor.ResetAsync().AsTask();

    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync();
        _host.Dispose();
    }
}
