using System.Text.RegularExpressions;
using DistributedPatterns.Pipeline;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.MapReduce;

/// <summary>Finds the file behind an input's name: a sample, a registered file, one that was put there by name, or any other below the data folder.</summary>
/// <remarks>Nothing outside the data folder can be read, apart from samples and registered files: not by <c>..</c>, not by an absolute path, not by a link.</remarks>
public sealed partial class MapReduceInputs
{
    private const string Samples = "us-constitution.txt, UnicodeData.txt";

    private readonly Dictionary<string, string> _files;
    private readonly string _root;

    public MapReduceInputs(IOptions<PipelineInputOptions> options)
    {
        var samples = Path.Combine(AppContext.BaseDirectory, "inputs");
        _files = new(options.Value.Files, StringComparer.Ordinal)
        {
            ["us-constitution"] = Path.Combine(samples, "us-constitution.txt"),
            ["us-constitution.txt"] = Path.Combine(samples, "us-constitution.txt"),
            ["unicode-data"] = Path.Combine(samples, "UnicodeData.txt"),
            ["UnicodeData.txt"] = Path.Combine(samples, "UnicodeData.txt"),
        };
        _root = Path.GetFullPath(options.Value.Path);
        Folder = Path.Combine(_root, "inputs");
        Work = Path.Combine(_root, "map-reduce");
    }

    /// <summary>Gets the folder of the files that were put there by name; it may not exist yet.</summary>
    public string Folder { get; }

    /// <summary>Gets the folder in which jobs have their files; it may not exist yet.</summary>
    internal string Work { get; }

    /// <summary>Returns whether a file can be put there under this name: 1 to 100 letters, digits, dots, hyphens and underscores, no dot first, and no sample's name.</summary>
    public bool IsFree(string name) => InputName().IsMatch(name) && !_files.ContainsKey(name);

    /// <summary>Finds an input's file, which exists.</summary>
    /// <param name="name">A sample's name, a name under which a file was put there, or a path below the data folder with slashes.</param>
    /// <exception cref="MapReduceInputException">There is no such input, or it lies elsewhere.</exception>
    public InputFile Find(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (_files.TryGetValue(name, out var known))
            return File.Exists(known) ? new InputFile(known, new FileInfo(known).Length, 0) : throw new MapReduceInputException($"The file of input '{name}' is missing: {Path.GetFileName(known)}.");
        var path = InputName().IsMatch(name) && File.Exists(Path.Combine(Folder, name)) ? Path.Combine(Folder, name) : Path.Combine(_root, CheckRelative(name));
        if (!File.Exists(path) || !IsInside(path)) throw Missing(name);
        var file = new FileInfo(path);
        return new InputFile(path, file.Length, file.LastWriteTimeUtc.Ticks);
    }

    // A name can be as long as a request's body; the message that refuses it should not be.
    internal static string Shorten(string name) => name.Length <= 80 ? name : name[..80] + "…";

    private static string CheckRelative(string name)
    {
        var segments = name.Split('/');
        // The folder of the jobs holds no text, and what is in it may go at any time.
        return name.Length <= 400 && segments[0] != "map-reduce" && segments.All(segment => Segment().IsMatch(segment)) ? Path.Combine(segments) : throw Missing(name);
    }

    // A link may lead out of the folder, and so may a folder on the way.
    private bool IsInside(string path)
    {
        for (var at = path; at is not null && at.Length > _root.Length; at = Path.GetDirectoryName(at))
        {
            FileSystemInfo entry = Directory.Exists(at) ? new DirectoryInfo(at) : new FileInfo(at);
            if (entry.LinkTarget is not null) return false;
        }
        return path.StartsWith(_root + Path.DirectorySeparatorChar, StringComparison.Ordinal);
    }

    private static MapReduceInputException Missing(string name) => new(
        $"There is no input '{Shorten(name)}'. There are the samples {Samples}, files that you put there with PUT inputs/<name>, and others below the data folder by their path, such as texts/book.txt.");

    [GeneratedRegex(@"\A[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}\z")]
    private static partial Regex InputName();

    // No empty segment, no '.' or '..', nothing that is a separator or a drive somewhere.
    [GeneratedRegex(@"\A(?!\.{1,2}\z)[^/\\:\p{Cc}]{1,255}\z")]
    private static partial Regex Segment();
}

/// <summary>An input's file.</summary>
/// <param name="Length">How many bytes it has.</param>
/// <param name="Version">Changes when the file is written; 0 for a sample, of which each process has a copy.</param>
public readonly record struct InputFile(string Path, long Length, long Version);
