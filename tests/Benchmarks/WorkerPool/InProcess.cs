using System.Text.Json.Serialization;
using System.Threading.Channels;
using System.Threading.Tasks.Dataflow;
using DistributedPatterns.WorkerPool;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Benchmarks.WorkerPool;

/// <summary>The bare pool.</summary>
internal sealed class OurWorkers(string name, int operations) : Callers(name, operations)
{
    private readonly ChannelWorkers<int, int> _workers = new(Workers, Capacity, static (x, _, _) => new(Work(x)));

    public override ValueTask TearDownAsync() => _workers.DisposeAsync();

    protected override async Task<long> CallAsync(int caller, int operations)
    {
        var sum = 0L;
        for (var x = caller; x < operations; x += Count) sum += await _workers.RunAsync(x);
        return sum;
    }
}

/// <summary>The contract: named jobs with JSON in and out, records, limits and spans.</summary>
internal sealed class OurNamedJobs(string name, int operations) : Callers(name, operations)
{
    private static readonly JobDefinition<int, int> s_job = new("work", static (x, _, _) => new(Work(x)), WorkerPoolJson.Default.Int32, WorkerPoolJson.Default.Int32);

    private readonly ChannelWorkerPool _pool = new(
        new JobCatalog([s_job]), Options.Create(new ChannelWorkerPoolOptions { Size = Workers, Capacity = Capacity }), TimeProvider.System);

    public override ValueTask TearDownAsync() => _pool.DisposeAsync();

    protected override async Task<long> CallAsync(int caller, int operations)
    {
        var sum = 0L;
        for (var x = caller; x < operations; x += Count) sum += await (await _pool.SubmitAsync(s_job, x)).ResultAsync();
        return sum;
    }
}

/// <summary>What everybody writes first: loops over a bounded channel, a task completion source a job.</summary>
internal sealed class ChannelAndCompletionSource(string name, int operations) : Callers(name, operations)
{
    private readonly Channel<(int X, TaskCompletionSource<int> Result)> _jobs = Channel.CreateBounded<(int, TaskCompletionSource<int>)>(Capacity);
    private Task _working = Task.CompletedTask;

    public override Task<string?> SetUpAsync()
    {
        _working = Task.WhenAll(Enumerable.Range(0, Workers).Select(_ => Task.Run(async () =>
        {
            await foreach (var (x, result) in _jobs.Reader.ReadAllAsync()) result.SetResult(Work(x));
        })));
        return Task.FromResult<string?>(null);
    }

    public override async ValueTask TearDownAsync()
    {
        _jobs.Writer.Complete();
        await _working;
    }

    protected override async Task<long> CallAsync(int caller, int operations)
    {
        var sum = 0L;
        for (var x = caller; x < operations; x += Count)
        {
            // Without the flag a caller would go on on the worker, and hold it up.
            var result = new TaskCompletionSource<int>(TaskCreationOptions.RunContinuationsAsynchronously);
            await _jobs.Writer.WriteAsync((x, result));
            sum += await result.Task;
        }
        return sum;
    }
}

internal sealed class DataflowBlock(string name, int operations) : Callers(name, operations)
{
    private readonly ActionBlock<(int X, TaskCompletionSource<int> Result)> _block = new(
        job => job.Result.SetResult(Work(job.X)), new ExecutionDataflowBlockOptions { BoundedCapacity = Capacity, MaxDegreeOfParallelism = Workers });

    public override async ValueTask TearDownAsync()
    {
        _block.Complete();
        await _block.Completion;
    }

    protected override async Task<long> CallAsync(int caller, int operations)
    {
        var sum = 0L;
        for (var x = caller; x < operations; x += Count)
        {
            var result = new TaskCompletionSource<int>(TaskCreationOptions.RunContinuationsAsynchronously);
            if (!_block.Post((x, result))) await _block.SendAsync((x, result));
            sum += await result.Task;
        }
        return sum;
    }
}

[JsonSerializable(typeof(int))]
internal sealed partial class WorkerPoolJson : JsonSerializerContext;
