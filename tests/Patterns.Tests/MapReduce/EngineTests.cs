using System.Text;
using CsCheck;
using DistributedPatterns.MapReduce;
using DistributedPatterns.MapReduce.Engine;

namespace DistributedPatterns.Tests.MapReduce;

/// <summary>The parts beneath both variants against a plain model: lines over splits, tables over spills, merges over runs.</summary>
public sealed class EngineTests : IDisposable
{
    private const int Partitions = 3;

    private static readonly Gen<byte[]> s_key = Gen.Frequency(
        (3, Gen.Int[0, 9].Select(length => Gen.Byte[(byte)'a', (byte)'c'].Array[length])), (1, Gen.Int[0, 40].Select(length => Gen.Byte.Array[length]))).SelectMany(key => key);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("engine-tests-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void Lines_OfAnyTextInAnySplits_AreEachReadOnce() => Gen.Select(
        Gen.Char["ab\n\n\r "].Array[0, 200].Select(letters => new string(letters)), Gen.Long[1, 60], Gen.Int[8, 40]).Sample((text, splitBytes, longest) =>
    {
        var path = Path.Combine(_folder.FullName, Guid.NewGuid().ToString("N"));
        File.WriteAllText(path, text);
        using var file = File.OpenHandle(path);
        var plan = new SplitPlan(text.Length, splitBytes, 1);
        var read = new List<(string Line, long Offset)>();
        for (var number = 0; number < plan.Splits; number++) read.AddRange(Read(new LineReader(file, plan[number], longest)));

        // A line beyond the limit is there, at its offset; what it was does not matter.
        var (expected, offset) = (new List<(string, long)>(), 0L);
        foreach (var line in text.EndsWith('\n') ? text[..^1].Split('\n') : text.Length == 0 ? [] : text.Split('\n'))
        {
            expected.Add((line.EndsWith('\r') ? line[..^1] : line, offset));
            offset += line.Length + 1;
        }
        Assert.Equal(expected.Select(line => line.Item2), read.Select(line => line.Offset));
        foreach (var (wanted, got) in expected.Zip(read))
        {
            if (wanted.Item1.Length > longest) Assert.True(got.Line.Length > longest);
            else Assert.Equal(wanted.Item1, got.Line);
        }
    });

    [Fact]
    public void Line_BeyondAnyBuffer_IsKnownAsTooLong_AndTheNextOnesAreRead()
    {
        var path = Path.Combine(_folder.FullName, "long");
        File.WriteAllText(path, "first\n" + new string('x', 3_000_000) + "\nnext\nlast");
        using var file = File.OpenHandle(path);

        foreach (var splitBytes in (long[])[1_000_000, 10_000_000])
        {
            var plan = new SplitPlan(new FileInfo(path).Length, splitBytes, 1);
            var read = Enumerable.Range(0, plan.Splits).SelectMany(number => Read(new LineReader(file, plan[number], 1_000))).ToArray();

            Assert.Equal([0, 6, 3_000_007, 3_000_012], read.Select(line => line.Offset));
            Assert.Equal(("first", "next", "last"), (read[0].Line, read[2].Line, read[3].Line));
            Assert.True(read[1].Line.Length > 1_000);
        }
    }

    [Theory]
    [InlineData(ValueFold.Sum, CombinerUse.On)]
    [InlineData(ValueFold.Sum, CombinerUse.Off)]
    [InlineData(ValueFold.Min, CombinerUse.On)]
    [InlineData(ValueFold.Max, CombinerUse.Off)]
    [InlineData(ValueFold.Set, CombinerUse.On)]
    [InlineData(ValueFold.Set, CombinerUse.Off)]
    public void Pairs_OverRunsAndMerges_AreFoldedAsByADictionary(ValueFold fold, CombinerUse combiner)
    {
        var value = fold == ValueFold.Set ? Gen.Long[0, 50] : Gen.Long;
        Gen.Select(Gen.Select(s_key, value).Array[0, 300], Gen.Int[1, 120], Gen.Int[2, 4]).Sample((pairs, perRun, width) =>
        {
            var folder = _folder.CreateSubdirectory(Guid.NewGuid().ToString("N")).FullName;
            var runs = new List<string>();
            foreach (var some in pairs.Chunk(perRun))
            {
                var table = new MapOutput(fold, combiner, 1 << 20);
                foreach (var (key, number) in some) table.Emit(key, number);
                runs.Add(Path.Combine(folder, $"run-{runs.Count}"));
                using var run = new RunWriter(runs[^1], fold);
                table.WriteTo(run, Partitions);
                run.Finish();
            }

            var merged = new Collected();
            for (var partition = 0; partition < Partitions; partition++)
                RunMerger.Merge(runs, partition, fold, merged, width, Path.Combine(folder, "scratch"), TestContext.Current.CancellationToken);

            var expected = pairs.GroupBy(pair => Convert.ToHexString(pair.Item1)).SelectMany(group => Fold(fold, group.Select(pair => pair.Item2)).Select(number => (group.Key, number)));
            Assert.Equal(expected.Order(), merged.Pairs.Order());
            Assert.Equal(runs.Count, Directory.GetFiles(folder).Length); // nothing in between is left
        }, iter: 60);
    }

    [Fact]
    public void Run_CutOffOrDamaged_IsKnownAsSuch()
    {
        var path = Path.Combine(_folder.FullName, "run");
        var table = new MapOutput(ValueFold.Sum, CombinerUse.On, 1 << 20);
        for (var i = 0; i < 1_000; i++) table.Emit(Encoding.ASCII.GetBytes($"key-{i}"), i);
        using (var run = new RunWriter(path, ValueFold.Sum))
        {
            table.WriteTo(run, 1);
            run.Finish();
        }
        var whole = File.ReadAllBytes(path);
        foreach (var length in (int[])[0, 10, whole.Length / 2, whole.Length - 1])
        {
            File.WriteAllBytes(path, whole[..length]);
            Assert.Throws<LostOutputException>(() => RunMerger.Merge([path], 0, ValueFold.Sum, new Collected(), 2, path + "-", TestContext.Current.CancellationToken));
        }
        File.Delete(path);
        var lost = Assert.Throws<LostOutputException>(() => RunMerger.Merge([path], 0, ValueFold.Sum, new Collected(), 2, path + "-", TestContext.Current.CancellationToken));
        Assert.Equal(0, lost.Task);
    }

    [Fact]
    public void Table_WithMorePairsThanItsMemory_IsFullBeforeItHasToGrow()
    {
        var table = new MapOutput(ValueFold.Set, CombinerUse.On, 64 << 10);
        var emitted = 0;
        for (; !table.IsFull; emitted++) table.Emit(Encoding.ASCII.GetBytes($"key-{emitted % 100}"), emitted);

        Assert.InRange(emitted, 500, 64 << 10);
    }

    [Fact]
    public void Prefix_OrdersAsTheKeysDo() => Gen.Select(s_key, s_key).Sample((first, second) => Assert.Equal(
        Math.Sign(first.AsSpan().SequenceCompareTo(second)),
        Math.Sign(KeyBytes.Compare(KeyBytes.Prefix(first), first, KeyBytes.Prefix(second), second))));

    private static List<(string Line, long Offset)> Read(LineReader reader)
    {
        using var closing = reader;
        var lines = new List<(string, long)>();
        while (reader.FillAsync(TestContext.Current.CancellationToken).AsTask().GetAwaiter().GetResult())
            while (reader.TryTake(out var line, out var offset)) lines.Add((Encoding.UTF8.GetString(line), offset));
        return lines;
    }

    private static IEnumerable<long> Fold(ValueFold fold, IEnumerable<long> values) => fold switch
    {
        ValueFold.Sum => [values.Aggregate(0L, (sum, value) => unchecked(sum + value))],
        ValueFold.Min => [values.Min()],
        ValueFold.Max => [values.Max()],
        _ => values.Distinct(),
    };

    private sealed class Collected : PairSink
    {
        public List<(string, long)> Pairs { get; } = [];

        public override void Add(ReadOnlySpan<byte> key, long value) => Pairs.Add((Convert.ToHexString(key), value));
    }
}
