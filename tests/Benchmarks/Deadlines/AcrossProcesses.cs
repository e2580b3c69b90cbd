using System.Collections.Concurrent;
using System.Diagnostics;
using DistributedPatterns.Benchmarks.Harness;
using DistributedPatterns.Deadlines;
using DistributedPatterns.Deadlines.Protocol;
using DistributedPatterns.Diagnostics;
using DistributedPatterns.Members;
using DistributedPatterns.Payloads;
using Google.Protobuf;
using Microsoft.Extensions.DependencyInjection;

namespace DistributedPatterns.Benchmarks.Deadlines;

/// <summary>The operations that all processes know.</summary>
internal static class RemoteOperations
{
    public const string First = "first-hop";
    public const string Last = "last-hop";

    // By call: when the last hop began it, and when it heard that its caller had left.
    private static readonly ConcurrentDictionary<int, long> s_heard = new();

    public static IServiceCollection AddBenchmarkOperations(this IServiceCollection services) => services
        .AddOperation("at-once", Last, PayloadCodec.Packed<int>(), PayloadCodec.Packed<int>(), static (value, _) => new ValueTask<int>(value))
        .AddOperation("relay", First, PayloadCodec.Packed<int>(), PayloadCodec.Packed<int>(),
            static async (call, context) => await context.Calls.CallAsync<int, int>("hold", call, context.Deadline, null, context.Token))
        .AddOperation("hold", Last, PayloadCodec.Packed<int>(), PayloadCodec.Packed<int>(), static async (call, context) =>
        {
            s_heard[call] = 0;
            try
            {
                await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, context.Token);
                return call;
            }
            finally
            {
                s_heard[call] = Stopwatch.GetTimestamp();
            }
        })
        .AddOperation("heard", Last, PayloadCodec.Packed<int>(), PayloadCodec.Packed<long>(), static (call, _) => new ValueTask<long>(s_heard.GetValueOrDefault(call, -1)));
}

/// <summary>How a unary call is made.</summary>
internal enum GrpcCallKind
{
    Plain,
    Deadline,
    Budgeted,
}

/// <summary>Unary calls by 64 callers, of an operation that gives back its input.</summary>
internal sealed class GrpcCalls(string name, int operations, SharedServices shared, GrpcCallKind kind) : ThroughputContender(name, operations)
{
    private const int Callers = 64;

    private static readonly TimeSpan s_budget = TimeSpan.FromSeconds(10);

    private Operations.OperationsClient _client = null!;
    private IBudgetedCalls _calls = null!;

    public override async Task<string?> SetUpAsync()
    {
        var here = (await shared.StartAsync()).Here;
        _calls = here.GetRequiredKeyedService<IBudgetedCalls>(Variants.Distributed);
        _client = new Operations.OperationsClient(here.GetRequiredService<IMemberChannels>().To(RemoteOperations.Last));
        return null;
    }

    public override async Task<TimeSpan?> RunAsync(int operations)
    {
        var left = operations;
        var sums = await Task.WhenAll(Enumerable.Range(0, Callers).Select(_ => Task.Run(async () =>
        {
            var sum = 0L;
            for (var number = Interlocked.Decrement(ref left); number >= 0; number = Interlocked.Decrement(ref left)) sum += await OnceAsync(number);
            return sum;
        })));
        if (sums.Sum() != operations * (operations - 1L) / 2) throw new InvalidOperationException($"{Name}: an answer was wrong.");
        return null;
    }

    public override ValueTask TearDownAsync() => shared.StopAsync();

    private async Task<int> OnceAsync(int number)
    {
        if (kind == GrpcCallKind.Budgeted) return await _calls.CallAsync<int, int>("at-once", number, Deadline.After(s_budget, TimeProvider.System));
        var call = new Call { Operation = "at-once", Input = ByteString.CopyFrom(BitConverter.GetBytes(number)) };
        var deadline = kind == GrpcCallKind.Deadline ? TimeProvider.System.GetUtcNow().UtcDateTime + s_budget : (DateTime?)null;
        return BitConverter.ToInt32((await _client.RunAsync(call, deadline: deadline)).Output.Span);
    }
}

/// <summary>How long it takes until the last of two hops hears that the caller has left. On one machine, whose processes share the monotonic clock.</summary>
internal sealed class CancelledCalls(string name, int samples, SharedServices shared) : LatencyContender(name, samples)
{
    private IBudgetedCalls _calls = null!;
    private int _next;

    public override async Task<string?> SetUpAsync()
    {
        _calls = (await shared.StartAsync()).Here.GetRequiredKeyedService<IBudgetedCalls>(Variants.Distributed);
        return null;
    }

    public override async Task<double[]> SampleAsync(int samples)
    {
        var heard = new double[samples];
        for (var i = 0; i < samples; i++) heard[i] = await OnceAsync(++_next);
        return heard;
    }

    public override ValueTask TearDownAsync() => shared.StopAsync();

    private async Task<double> OnceAsync(int call)
    {
        using var caller = new CancellationTokenSource();
        var running = _calls.CallAsync<int, int>("relay", call, Deadline.None, null, caller.Token);
        while (await HeardAsync(call) < 0)
        {
            if (running.IsCompleted) await running; // throws why
        }
        var left = Stopwatch.GetTimestamp();
        await caller.CancelAsync();
        try
        {
            await running;
        }
        catch (OperationCanceledException)
        {
            // That is what was asked for.
        }
        long heard;
        do heard = await HeardAsync(call);
        while (heard == 0);
        return Stopwatch.GetElapsedTime(left, heard).TotalMicroseconds;
    }

    private Task<long> HeardAsync(int call) => _calls.CallAsync<int, long>("heard", call, Deadline.None);
}
