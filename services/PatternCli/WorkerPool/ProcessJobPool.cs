using System.Text.Json;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.WorkerPool;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace DistributedPatterns.PatternCli.WorkerPool;

/// <summary>A pool inside this program.</summary>
internal sealed class ProcessJobPool : IJobPool
{
    private readonly ServiceProvider _services;
    private readonly IWorkerPool _pool;

    public ProcessJobPool(string input, FileInfo? file)
    {
        _services = new ServiceCollection()
            .AddLogging()
            .AddSingleton<IConfiguration>(new ConfigurationBuilder().AddEnvironmentVariables().Build())
            .AddPipelineInputs(options =>
            {
                if (file is not null) options.Files[input] = file.FullName;
            })
            .AddWorkerPoolJobs()
            .AddChannelWorkerPool(options => options.Name = "this program")
            .BuildServiceProvider();
        _pool = _services.GetRequiredKeyedService<IWorkerPool>(Variants.Channel);
    }

    public string Where => "in this process";

    public async Task<JobStatus> RunAsync(string job, FilePart part, CancellationToken cancellationToken)
    {
        var handle = await _pool.SubmitAsync(new JobRequest(job, JsonSerializer.SerializeToElement(part, WorkerPoolCliJson.Default.FilePart)), CancellationToken.None);
        await using var cancel = cancellationToken.Register(() => _ = handle.CancelAsync(CancellationToken.None).AsTask());
        return await handle.WaitAsync(CancellationToken.None);
    }

    public Task<WorkerPoolSnapshot> ReadAsync() => _pool.GetSnapshotAsync().AsTask();

    public ValueTask DisposeAsync() => _services.DisposeAsync();
}
