namespace DistributedPatterns.Gateway;

internal static class Text
{
    /// <summary>Cuts what a caller sent before it is quoted to the caller: it can be as long as a request.</summary>
    public static string Shorten(string text) => text.Length <= 80 ? text : text[..80] + "…";
}
