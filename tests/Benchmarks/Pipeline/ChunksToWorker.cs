using System.Diagnostics;
using System.Runtime.InteropServices;
using DistributedPatterns.Benchmarks.Harness;
using DistributedPatterns.Benchmarks.Pipeline.Protocol;
using DistributedPatterns.Members;
using Google.Protobuf;
using Grpc.Core;
using Microsoft.Extensions.DependencyInjection;

namespace DistributedPatterns.Benchmarks.Pipeline;

/// <summary>A stage in another process by hand: no run, no acknowledgement, nothing survives anything.</summary>
internal sealed class ChunksToWorker(string name, int operations, SharedServices shared, int chunkSize) : ThroughputContender(name, operations)
{
    private Services? _services;

    public override async Task<string?> SetUpAsync()
    {
        _services = await shared.StartAsync();
        return null;
    }

    public override async Task<TimeSpan?> RunAsync(int operations)
    {
        var channel = _services!.Here.GetRequiredService<IMemberChannels>().To("worker");
        var since = Stopwatch.GetTimestamp();
        using var call = new Chunks.ChunksClient(channel).Transform();
        var summing = SumAsync(call.ResponseStream);
        var chunk = new int[chunkSize];
        for (var next = 0; next < operations; next += chunkSize)
        {
            var count = Math.Min(chunkSize, operations - next);
            for (var i = 0; i < count; i++) chunk[i] = next + i;
            await call.RequestStream.WriteAsync(new Protocol.Numbers { Packed = ByteString.CopyFrom(MemoryMarshal.AsBytes(chunk.AsSpan(0, count))) });
        }
        await call.RequestStream.CompleteAsync();
        var sum = await summing;
        var took = Stopwatch.GetElapsedTime(since);
        Numbers.Check(sum, operations);
        return took;
    }

    public override ValueTask TearDownAsync() => shared.StopAsync();

    private static async Task<long> SumAsync(IAsyncStreamReader<Protocol.Numbers> replies)
    {
        var sum = 0L;
        while (await replies.MoveNext(CancellationToken.None))
            foreach (var x in MemoryMarshal.Cast<byte, int>(replies.Current.Packed.Span)) sum += x;
        return sum;
    }
}

/// <summary>The other side of <see cref="ChunksToWorker"/>.</summary>
internal sealed class ChunksService : Chunks.ChunksBase
{
    public override async Task Transform(IAsyncStreamReader<Protocol.Numbers> requests, IServerStreamWriter<Protocol.Numbers> replies, ServerCallContext context)
    {
        while (await requests.MoveNext(context.CancellationToken))
        {
            var numbers = MemoryMarshal.Cast<byte, int>(requests.Current.Packed.Span).ToArray();
            for (var i = 0; i < numbers.Length; i++) numbers[i] = Numbers.Mix(Numbers.AddOne(Numbers.Triple(numbers[i])));
            await replies.WriteAsync(new Protocol.Numbers { Packed = ByteString.CopyFrom(MemoryMarshal.AsBytes(numbers.AsSpan())) }, context.CancellationToken);
        }
    }
}
