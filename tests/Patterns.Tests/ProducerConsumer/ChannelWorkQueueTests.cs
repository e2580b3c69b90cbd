using DistributedPatterns.ProducerConsumer;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace DistributedPatterns.Tests.ProducerConsumer;

/// <summary>The contract over <see cref="ChannelWorkQueue{T}"/>, whose time the test moves.</summary>
public abstract class ChannelWorkQueueTests<T>(Payloads<T> payloads) : WorkQueueConformance<T>(payloads)
{
    private readonly FakeTimeProvider _clock = new();

    protected override ValueTask<IWorkQueue<T>> CreateAsync(Action<WorkQueueOptions> configure)
    {
        var options = new ChannelWorkQueueOptions();
        configure(options);
        return new(new ChannelWorkQueue<T>("queue", options, _clock, NullLogger<ChannelWorkQueue<T>>.Instance));
    }

    protected override Task PassAsync(TimeSpan time)
    {
        _clock.Advance(time);
        return Task.CompletedTask;
    }
}

public sealed class ChannelWorkQueueOfTextTests() : ChannelWorkQueueTests<string>(new TextPayloads());

public sealed class ChannelWorkQueueOfReadingsTests() : ChannelWorkQueueTests<Reading>(new ReadingPayloads());
