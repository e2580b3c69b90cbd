using System.Globalization;
using DistributedPatterns.Benchmarks.Harness;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.DependencyInjection;

namespace DistributedPatterns.Benchmarks.MapReduce;

/// <summary>Words of 300 MB of Zipf-like text counted: in process against other ways, and across processes against in process.</summary>
internal static class MapReduceBenchmarks
{
    public const string Role = "map-reducer";
    public const int Megabytes = 300;

    private const string Ours = "ours, in process";
    private const string Dictionary = "span + dictionary, a thread a core";
    private const int Processes = 2;

    public static IReadOnlyList<IBenchmark> Create(RunSettings settings)
    {
        var processes = new SharedServices(RedisKind.Garnet, services => services.AddMapReduceJobs().AddRedisMapReduce(), (Role, Processes));
        return
        [
            new Throughput($"Map-reduce: word count of {Megabytes} MB", "bytes", Dictionary,
            [
                new OurMapReduce(Ours, null),
                new SpanDictionary(Dictionary),
                new Plinq("PLINQ over lines and words"),
                new Coreutils("coreutils: tr, sort, uniq -c"),
                new TokenScan("the limit: words found, and not counted"),
            ]),
            new Throughput($"Map-reduce across {Processes} processes: word count of {Megabytes} MB", "bytes", Ours,
            [
                new OurMapReduce(Ours, null),
                new OurMapReduce($"ours, {Processes} processes that map and reduce, splits by (file, offset)", processes),
            ]),
        ];
    }

    /// <summary>Makes a process one that coordinates, maps and reduces.</summary>
    public static IServiceCollection AddMapReducer(this IServiceCollection services) =>
        services.AddMapReduceJobs().AddMapReduceCoordinator().AddMapReduceMapper().AddMapReduceReducer();

    /// <summary>Writes a corpus where the command line says: <c>corpus [megabytes] [path]</c>.</summary>
    public static async Task<int> WriteCorpusAsync(string[] args)
    {
        var megabytes = Megabytes;
        if (args.Length > 2 || (args.Length > 0 && (!int.TryParse(args[0], CultureInfo.InvariantCulture, out megabytes) || megabytes is < 1 or > 100_000)))
        {
            await Console.Error.WriteLineAsync($"Usage: corpus [megabytes, 1 to 100000; {Megabytes} unless given] [path]");
            return 2;
        }
        if (args.Length < 2)
        {
            Console.WriteLine(Corpus.Ensure(megabytes));
            return 0;
        }
        Corpus.Write(args[1], megabytes);
        Console.WriteLine(args[1]);
        return 0;
    }
}

/// <summary>A contender that counts the words of as many bytes of corpus as it is told; each has to find the same.</summary>
internal abstract class WordCounter(string name) : ThroughputContender(name, MapReduceBenchmarks.Megabytes * 1_000_000)
{
    private static readonly Dictionary<int, (long Words, long Keys)> s_found = [];

    public override async Task<TimeSpan?> RunAsync(int operations)
    {
        var path = Corpus.Ensure(operations / 1_000_000);
        var since = System.Diagnostics.Stopwatch.GetTimestamp();
        var (words, keys) = await CountAsync(path);
        var took = System.Diagnostics.Stopwatch.GetElapsedTime(since);
        // The first says what the others have to find; a scan without a table finds no keys.
        if (!s_found.TryGetValue(operations, out var expected)) s_found[operations] = expected = (words, keys);
        if (words != expected.Words || (keys > 0 && keys != expected.Keys))
            throw new InvalidOperationException($"{Name} found {words} words, {keys} different ones, instead of {expected.Words} and {expected.Keys}.");
        return took;
    }

    protected abstract Task<(long Words, long Keys)> CountAsync(string path);
}
