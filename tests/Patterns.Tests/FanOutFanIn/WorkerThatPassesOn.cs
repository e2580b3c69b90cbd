using System.Buffers;
using DistributedPatterns.FanOutFanIn.Protocol;
using DistributedPatterns.Payloads;
using Google.Protobuf;
using Grpc.Core;

namespace DistributedPatterns.Tests.FanOutFanIn;

/// <summary>Passes on all that comes first, as a worker without a free thread does, and squares what comes then.</summary>
internal sealed class WorkerThatPassesOn : FanOutWorker.FanOutWorkerBase
{
    public override async Task Run(IAsyncStreamReader<ToWorker> requestStream, IServerStreamWriter<Answers> responseStream, ServerCallContext context)
    {
        var number = 0L;
        while (await requestStream.MoveNext(context.CancellationToken))
        {
            if (requestStream.Current.Items is not { } items) continue;
            var answers = new Answers();
            if (number == 0) answers.PassedOn.Add(new Passed { First = 0, Count = items.Count });
            else Square(items, number, answers);
            number += items.Count;
            await responseStream.WriteAsync(answers, context.CancellationToken);
        }
    }

    internal static void Square(Items items, long number, Answers answers)
    {
        var inputs = new int[items.Count];
        PayloadCodec.Packed<int>().Decode(items.Payload.Span, inputs);
        answers.Count = inputs.Length;
        answers.Numbers = Pack(inputs.Select((_, i) => number + i));
        answers.RunTicks = Pack(inputs.Select(_ => 1L));
        answers.Payload = Pack(inputs.Select(input => (long)input * input));
    }

    private static ByteString Pack(IEnumerable<long> values)
    {
        var output = new ArrayBufferWriter<byte>();
        PayloadCodec.Packed<long>().Encode([.. values], output);
        return ByteString.CopyFrom(output.WrittenSpan);
    }
}

/// <summary>Hangs at its first item, which fails once others come after all, and passes on what is next to it.</summary>
internal sealed class WorkerThatHangsAtOne : FanOutWorker.FanOutWorkerBase
{
    public override async Task Run(IAsyncStreamReader<ToWorker> requestStream, IServerStreamWriter<Answers> responseStream, ServerCallContext context)
    {
        var (number, hasPassedOn, hangs) = (0L, false, true);
        while (await requestStream.MoveNext(context.CancellationToken))
        {
            if (requestStream.Current.Items is not { } items) continue;
            var (answers, first) = (new Answers(), number == 0 ? 1 : number);
            number += items.Count;
            if (first == number) continue; // nothing but the first item
            if (!hasPassedOn)
            {
                answers.PassedOn.Add(new Passed { First = first, Count = number - first });
                hasPassedOn = true;
            }
            else
            {
                WorkerThatPassesOn.Square(items, first, answers);
                if (hangs) answers.Failures.Add(new Failure { Number = 0, Reason = "It hung.", RunTicks = 1 });
                hangs = false;
            }
            await responseStream.WriteAsync(answers, context.CancellationToken);
        }
    }
}
