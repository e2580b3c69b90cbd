using System.Globalization;
using System.Text;

namespace DistributedPatterns.Benchmarks.MapReduce;

/// <summary>English-like text of any size: the words of texts on this machine, as often as Zipf's law says, in lines and sentences.</summary>
/// <remarks>The same texts give the same corpus. It is written once into the data folder of the services, where splits of it are read by all.</remarks>
internal static class Corpus
{
    private const ulong Seed = 20_260_101;
    private const double Shift = 2.7; // Zipf–Mandelbrot, as measured on English
    private const int LineBytes = 70;
    private const int BlockBytes = 1 << 20;
    private const string List = "UnicodeData.txt";

    private static readonly string[] s_folders = ["/usr/share/common-licenses", Path.Combine(AppContext.BaseDirectory, "inputs")];

    /// <summary>Gets the data folder that services have unless told otherwise.</summary>
    public static string DataFolder { get; } = Path.Combine(Path.GetTempPath(), "distributed-patterns");

    public static string NameOf(int megabytes) => string.Create(CultureInfo.InvariantCulture, $"corpus-{megabytes}.txt");

    /// <summary>Returns the path of a corpus, which is written if it is not there.</summary>
    public static string Ensure(int megabytes)
    {
        var path = Path.Combine(DataFolder, "inputs", NameOf(megabytes));
        if (File.Exists(path)) return path;
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        Write(path + ".part", megabytes);
        File.Move(path + ".part", path, overwrite: true);
        return path;
    }

    /// <summary>Writes a corpus of so many millions of bytes, up to the end of a line.</summary>
    public static void Write(string path, int megabytes)
    {
        var words = Vocabulary();
        var weights = new double[words.Length];
        for (var rank = 0; rank < words.Length; rank++) weights[rank] = (rank > 0 ? weights[rank - 1] : 0) + (1 / (rank + Shift));
        using var file = new FileStream(path, FileMode.Create);
        var (random, left) = (Seed, megabytes * 1_000_000L);
        var block = new List<byte>(BlockBytes + LineBytes);
        var (line, startsSentence) = (0, true);
        while (left > 0)
        {
            var word = words[Rank(weights, Next(ref random))];
            if (line > 0) block.Add((byte)' ');
            block.Add(startsSentence ? (byte)(word[0] - 'a' + 'A') : word[0]);
            block.AddRange(word.AsSpan(1));
            startsSentence = Next(ref random) < 1 / 18.0;
            if (startsSentence) block.Add((byte)'.');
            else if (Next(ref random) < 1 / 15.0) block.Add((byte)',');
            line += word.Length + 1;
            if (line < LineBytes) continue;
            block.Add((byte)'\n');
            line = 0;
            if (block.Count < BlockBytes && block.Count < left) continue;
            file.Write([.. block]);
            left -= block.Count;
            block.Clear();
        }
    }

    // Prose gives the frequent words, so that those are short as in English; a list of names gives the many rare ones.
    private static byte[][] Vocabulary()
    {
        var files = s_folders.Where(Directory.Exists).SelectMany(Directory.GetFiles).Order(StringComparer.Ordinal).ToLookup(file => Path.GetFileName(file) == List);
        string[] words = [.. ByFrequency(files[false]).Concat(ByFrequency(files[true])).Distinct()];
        return words.Length > 0 ? Array.ConvertAll(words, Encoding.ASCII.GetBytes) : throw new InvalidOperationException($"There is no text in {string.Join(" or ", s_folders)}.");
    }

    private static IEnumerable<string> ByFrequency(IEnumerable<string> files) => files.SelectMany(file => Words(File.ReadAllText(file))).CountBy(word => word)
        .OrderByDescending(pair => pair.Value).ThenBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => pair.Key);

    private static IEnumerable<string> Words(string text)
    {
        var from = 0;
        for (var at = 0; at <= text.Length; at++)
        {
            if (at < text.Length && char.IsAsciiLetter(text[at])) continue;
            if (at > from) yield return text[from..at].ToLowerInvariant();
            from = at + 1;
        }
    }

    private static int Rank(double[] weights, double place)
    {
        var found = Array.BinarySearch(weights, place * weights[^1]);
        return Math.Min(found < 0 ? ~found : found, weights.Length - 1);
    }

    // SplitMix64: the same numbers everywhere, whatever System.Random becomes.
    private static double Next(ref ulong state)
    {
        state += 0x9E37_79B9_7F4A_7C15;
        var mixed = (state ^ (state >> 30)) * 0xBF58_476D_1CE4_E5B9;
        mixed = (mixed ^ (mixed >> 27)) * 0x94D0_49BB_1331_11EB;
        return ((mixed ^ (mixed >> 31)) >> 11) * (1.0 / (1UL << 53));
    }
}
