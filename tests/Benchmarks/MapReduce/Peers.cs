using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using Microsoft.Win32.SafeHandles;

namespace DistributedPatterns.Benchmarks.MapReduce;

/// <summary>What is written by hand: a thread a core, a part of the file each, and a dictionary that is asked with spans.</summary>
internal sealed class SpanDictionary(string name) : WordCounter(name)
{
    protected override Task<(long Words, long Keys)> CountAsync(string path) => Task.Run(() =>
    {
        var tables = Parts.Run(path, static () => new Dictionary<string, long>(StringComparer.Ordinal), static (table, word) =>
        {
            Span<char> letters = stackalloc char[word.Length];
            for (var i = 0; i < word.Length; i++) letters[i] = (char)(word[i] | 0x20);
            System.Runtime.InteropServices.CollectionsMarshal.GetValueRefOrAddDefault(table.GetAlternateLookup<ReadOnlySpan<char>>(), letters, out _)++;
        });
        var sum = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach (var (word, count) in tables.SelectMany(table => table)) sum[word] = sum.GetValueOrDefault(word) + count;
        return (sum.Values.Sum(), (long)sum.Count);
    });
}

/// <summary>Words found and lower-cased, and nothing kept: what any counting cannot be faster than.</summary>
internal sealed class TokenScan(string name) : WordCounter(name)
{
    protected override Task<(long Words, long Keys)> CountAsync(string path) => Task.Run(() =>
    {
        var counts = Parts.Run(path, static () => new long[1], static (count, _) => count[0]++);
        return (counts.Sum(count => count[0]), 0L);
    });
}

/// <summary>The shortest program: lines, words, groups.</summary>
internal sealed class Plinq(string name) : WordCounter(name)
{
    private static readonly char[] s_between = [.. Enumerable.Range(0, 128).Select(code => (char)code).Where(letter => !char.IsAsciiLetter(letter))];

    protected override Task<(long Words, long Keys)> CountAsync(string path) => Task.Run(() =>
    {
        var counts = File.ReadLines(path).AsParallel()
            .SelectMany(static line => line.ToLowerInvariant().Split(s_between, StringSplitOptions.RemoveEmptyEntries))
            .GroupBy(static word => word).Select(static group => (group.Key, Count: group.LongCount())).ToArray();
        return (counts.Sum(pair => pair.Count), (long)counts.Length);
    });
}

/// <summary>What is on every machine.</summary>
internal sealed class Coreutils(string name) : WordCounter(name)
{
    private const string Script = """tr -cs 'A-Za-z' '\n' < "$1" | tr 'A-Z' 'a-z' | grep . | sort | uniq -c | awk '{ words += $1 } END { print words, NR }'""";

    public override async Task<string?> SetUpAsync()
    {
        try
        {
            return await RunAsync("-c", "command -v tr sort uniq awk grep > /dev/null && echo yes") == "yes" ? null : "for tr, grep, sort, uniq or awk is missing";
        }
        catch (Win32Exception)
        {
            return "for there is no 'sh' on the PATH";
        }
    }

    protected override async Task<(long Words, long Keys)> CountAsync(string path)
    {
        var numbers = (await RunAsync("-c", Script, "count", path)).Split(' ');
        return (long.Parse(numbers[0], CultureInfo.InvariantCulture), long.Parse(numbers[1], CultureInfo.InvariantCulture));
    }

    private static async Task<string> RunAsync(params string[] arguments)
    {
        var start = new ProcessStartInfo("sh", arguments) { RedirectStandardOutput = true };
        start.Environment["LC_ALL"] = "C"; // else sort compares as people do, many times slower
        using var process = Process.Start(start)!;
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return output.Trim();
    }
}

/// <summary>Words of a file, in as many parts as there are cores.</summary>
internal static class Parts
{
    private const int BlockBytes = 256 * 1024;

    public delegate void OnWord<T>(T table, ReadOnlySpan<byte> word);

    public static T[] Run<T>(string path, Func<T> create, OnWord<T> onWord)
    {
        using var file = File.OpenHandle(path);
        var (length, parts) = (RandomAccess.GetLength(file), Environment.ProcessorCount);
        var tables = new T[parts];
        Parallel.For(0, parts, part => Scan(file, length * part / parts, length * (part + 1) / parts, tables[part] = create(), onWord));
        return tables;
    }

    // A word belongs to the part in which it begins.
    private static void Scan<T>(SafeFileHandle file, long from, long to, T table, OnWord<T> onWord)
    {
        var buffer = new byte[BlockBytes];
        var position = Math.Max(0, from - 1);
        var (kept, isFirst) = (0, from > 0);
        while (true)
        {
            var read = RandomAccess.Read(file, buffer.AsSpan(kept), position + kept);
            var end = kept + read;
            var at = 0;
            if (isFirst)
            {
                while (at < end && char.IsAsciiLetter((char)buffer[at])) at++;
                isFirst = false;
            }
            var begin = at;
            for (; at < end; at++)
            {
                if (char.IsAsciiLetter((char)buffer[at])) continue;
                if (at > begin)
                {
                    if (position + begin >= to) return;
                    onWord(table, buffer.AsSpan(begin, at - begin));
                }
                begin = at + 1;
            }
            if (read == 0)
            {
                if (end > begin && position + begin < to) onWord(table, buffer.AsSpan(begin, end - begin));
                return;
            }
            if (position + begin >= to) return;
            kept = Math.Max(0, end - begin);
            buffer.AsSpan(end - kept, kept).CopyTo(buffer);
            position += end - kept;
        }
    }
}
