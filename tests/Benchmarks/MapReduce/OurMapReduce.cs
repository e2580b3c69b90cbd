using DistributedPatterns.Benchmarks.Harness;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.MapReduce;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace DistributedPatterns.Benchmarks.MapReduce;

/// <summary><see cref="IMapReduce"/> through its public contract, from the start of the job to its result.</summary>
/// <param name="processes">Where the distributed variant runs; <see langword="null"/> for the variant in this process.</param>
internal sealed class OurMapReduce(string name, SharedServices? processes) : WordCounter(name)
{
    private ServiceProvider? _here;
    private IMapReduce? _jobs;

    public override async Task<string?> SetUpAsync()
    {
        if (processes is not null)
        {
            _jobs = (await processes.StartAsync()).Here.GetRequiredKeyedService<IMapReduce>(Variants.Distributed);
            return null;
        }
        _here = new ServiceCollection().AddLogging().AddSingleton<IConfiguration>(new ConfigurationBuilder().Build()).AddMapReduceJobs().AddChannelMapReduce().BuildServiceProvider();
        _jobs = _here.GetRequiredKeyedService<IMapReduce>(Variants.Channel);
        return null;
    }

    public override async ValueTask TearDownAsync()
    {
        if (processes is not null) await processes.StopAsync();
        if (_here is not null) await _here.DisposeAsync();
    }

    protected override async Task<(long Words, long Keys)> CountAsync(string path)
    {
        var job = await _jobs!.StartAsync(new MapReduceRequest("word-count", Path.GetFileName(path)));
        var end = await _jobs.WaitAsync(job.Id);
        return end!.Report is { } report ? (report.Emitted, report.Keys) : throw new InvalidOperationException(end.Error ?? "The job was lost.");
    }
}
