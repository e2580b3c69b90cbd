using System.Globalization;
using DistributedPatterns.Payloads;
using DistributedPatterns.Pipeline;

namespace DistributedPatterns.Tests.Pipeline;

/// <summary>What the numbers became: how many, and a hash that depends on their order.</summary>
public sealed record Chain(long Count, ulong Hash);

/// <summary>The numbers from 1 to n, tripled, plus one, chained into a hash. Every part can be replaced to inject gates and faults.</summary>
internal sealed class NumbersPipeline
{
    public string Name { get; init; } = "numbers";

    public Func<string, CancellationToken, IAsyncEnumerable<int>>? Source { get; init; }

    public Func<int, int> Triple { get; init; } = static x => 3 * x;

    public Action<StageOptions>? TripleOptions { get; init; }

    public Func<int, CancellationToken, ValueTask<int>>? AddOne { get; init; }

    public Action<StageOptions>? AddOneOptions { get; init; }

    /// <summary>Called for each number that reaches the sink, before it counts.</summary>
    public Action<int> AtSink { get; init; } = static _ => { };

    public PipelineDefinition<Chain> Define()
    {
        var source = PipelineDefinition.Named(Name);
        var numbers = Source is null
            ? source.From("count", PayloadCodec.Packed<int>(), static input => Enumerable.Range(1, ToCount(input)), static input => ToCount(input))
            : source.From("count", PayloadCodec.Packed<int>(), Source, static input => ToCount(input));
        var tripled = numbers.Then("triple", Triple, TripleOptions);
        return (AddOne is null ? tripled.Then("add one", static x => x + 1, AddOneOptions) : tripled.ThenAsync("add one", AddOne, AddOneOptions))
            .Into("chain", PayloadCodec.Packed<int>(), static () => new State(), Fold, static state => new Chain(state.Count, state.Hash), TestJson.Default.Chain);
    }

    /// <summary>What the sequential program would make of these numbers.</summary>
    public static Chain Expected(IEnumerable<int> numbers)
    {
        var state = new State();
        foreach (var number in numbers) state.Add((3 * number) + 1);
        return new Chain(state.Count, state.Hash);
    }

    public static Chain Expected(long count) => Expected(Enumerable.Range(1, (int)count));

    private static int ToCount(string input) => int.TryParse(input, NumberStyles.None, CultureInfo.InvariantCulture, out var count)
        ? count
        : throw new PipelineInputException($"'{input}' is no count: give a number from 0 to {int.MaxValue}.");

    private void Fold(State state, int number)
    {
        AtSink(number);
        state.Add(number);
    }

    private sealed class State
    {
        public long Count { get; private set; }

        public ulong Hash { get; private set; } = 17;

        public void Add(int number) => (Count, Hash) = (Count + 1, unchecked((Hash * 6364136223846793005) + (ulong)number));
    }
}
