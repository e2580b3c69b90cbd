using System.Text.RegularExpressions;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Pipeline;

/// <summary>Finds the file behind an input's name: a sample that ships with the program, a file that was registered, or an upload.</summary>
/// <remarks>A caller chooses a name, never a path: nothing outside the samples, the registered files and the folder of uploads can be read.</remarks>
public sealed partial class PipelineInputs
{
    private readonly Dictionary<string, string> _files;

    public PipelineInputs(IOptions<PipelineInputOptions> options)
    {
        var samples = Path.Combine(AppContext.BaseDirectory, "inputs");
        _files = new(options.Value.Files, StringComparer.Ordinal) { ["unicode-data"] = Path.Combine(samples, "UnicodeData.txt") };
        Uploads = Path.Combine(Path.GetFullPath(options.Value.Path), "uploads");
    }

    /// <summary>Gets the names that can be read at any time, uploads apart.</summary>
    public IReadOnlyCollection<string> Names => _files.Keys;

    /// <summary>Gets the folder of uploads; it may not exist yet.</summary>
    public string Uploads { get; }

    /// <summary>Returns whether a name is one that an upload can have.</summary>
    public static bool IsUpload(string name) => UploadName().IsMatch(name);

    /// <summary>Returns the path of an input's file, which exists.</summary>
    /// <exception cref="PipelineInputException">There is no such input; the message names those there are.</exception>
    public string PathOf(string name)
    {
        if (_files.TryGetValue(name, out var path))
            return File.Exists(path) ? path : throw new PipelineInputException($"The file of input '{name}' is missing: {Path.GetFileName(path)}.");
        if (!IsUpload(name))
            throw new PipelineInputException($"There is no input '{Shorten(name)}'. There are: {string.Join(", ", _files.Keys)}, and files that you upload.");
        path = Path.Combine(Uploads, name);
        return File.Exists(path) ? path : throw new PipelineInputException($"The upload '{name}' is not there: it is deleted when its run has ended.");
    }

    // A name can be as long as a request's body; the message that refuses it should not be.
    internal static string Shorten(string name) => name.Length <= 80 ? name : name[..80] + "…";

    [GeneratedRegex(@"\Aupload-[0-9a-f-]{8,80}\z")]
    private static partial Regex UploadName();
}
