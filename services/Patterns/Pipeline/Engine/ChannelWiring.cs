using System.Text.Json;
using System.Threading.Channels;

namespace DistributedPatterns.Pipeline.Engine;

/// <summary>The loops of one run in this process and the channels between them.</summary>
internal sealed class ChannelWiring(string input, RunScope scope)
{
    private readonly List<Task> _loops = [];

    public string Input { get; } = input;

    public RunScope Scope { get; } = scope;

    /// <summary>Gets or sets how to read the result; valid once <see cref="WhenEndedAsync"/> has returned without an error.</summary>
    public Func<JsonElement> Result { get; set; } = () => default;

    /// <summary>Gets or sets how to count the items in the result so far.</summary>
    public Func<long> Done { get; set; } = () => 0;

    /// <summary>Makes the channel in front of a stage. A chunk may hold fewer items than it could, so the bound holds for items.</summary>
    public static Channel<Chunk<T>> NewChannel<T>(int capacity, int chunkSize) => Channel.CreateBounded<Chunk<T>>(
        new BoundedChannelOptions(Math.Max(1, capacity / chunkSize)) { SingleWriter = false, SingleReader = false });

    /// <summary>Starts a loop. However it ends, its output is completed, so what comes after it ends too; a real error stops the whole run.</summary>
    public void Start<TOut>(Func<Task> loop, ChannelWriter<Chunk<TOut>>? output)
    {
        _loops.Add(Task.Run(async () =>
        {
            try
            {
                await loop().ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (Scope.Token.IsCancellationRequested)
            {
                // Abort, or another stage's error: that one is reported, not its echo here.
            }
            catch (Exception error)
            {
                Scope.Fail(error);
            }
            finally
            {
                output?.TryComplete();
            }
        }));
    }

    public Task WhenEndedAsync() => Task.WhenAll(_loops);
}
