namespace DistributedPatterns.Gateway.Uploads;

/// <summary>A file that was uploaded: the name by which a pipeline reads it, and where it lies.</summary>
/// <param name="Name"><c>upload-</c>, the hash of its content, <c>-</c>, and what makes it unique.</param>
internal sealed record Upload(string Name, string Path)
{
    private const string Prefix = "upload-";
    private const int HashLength = 32;

    public static string NameOf(ReadOnlySpan<byte> hash) => $"{Prefix}{Convert.ToHexStringLower(hash)[..HashLength]}-{Guid.NewGuid():N}";

    /// <summary>Returns whether two inputs stand for the same thing: the same name, or uploads with the same content.</summary>
    public static bool AreSame(string first, string second) => ContentOf(first) == ContentOf(second);

    private static string ContentOf(string input) =>
        input.StartsWith(Prefix, StringComparison.Ordinal) && input.Length > Prefix.Length + HashLength ? input[..(Prefix.Length + HashLength)] : input;
}
