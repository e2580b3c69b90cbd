using System.Runtime.InteropServices;
using System.Text.Json;

namespace DistributedPatterns.EventLoop.Engine;

/// <summary>What a key, a post and an event can be, and where a key belongs.</summary>
internal static class LoopRequests
{
    private const int MaxKeyLength = 128;
    private const int MaxIdLength = 128;

    /// <exception cref="LoopEventException">It is no key.</exception>
    public static void CheckKey(string key)
    {
        if (key is not { Length: >= 1 and <= MaxKeyLength } || !key.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-' or ':' or '@'))
            throw new LoopEventException($"'{Shorten(key)}' is no key: 1 to {MaxKeyLength} ASCII letters, digits, and any of . _ - : @");
    }

    /// <summary>Checks a request, and reads its events as their handlers take them.</summary>
    /// <exception cref="LoopEventException">It is not what a post can be.</exception>
    /// <exception cref="UnknownLoopHandlerException">A handler is not registered.</exception>
    public static ReadEvent[] Read(PostRequest request, LoopHandlerCatalog handlers)
    {
        ArgumentNullException.ThrowIfNull(request);
        CheckKey(request.Key);
        if (request.Events.Count is < 1 or > PostRequest.MaxEvents) throw new LoopEventException($"A post has 1 to {PostRequest.MaxEvents} events, not {request.Events.Count}.");
        if (request.Id is { } id && (id.Length is < 1 or > MaxIdLength || id.Any(c => c is <= ' ' or > '~')))
            throw new LoopEventException($"'{Shorten(id)}' is no id of a post: 1 to {MaxIdLength} visible ASCII characters.");
        var read = new ReadEvent[request.Events.Count];
        for (var i = 0; i < read.Length; i++) read[i] = Read(request.Events[i], handlers);
        return read;
    }

    /// <inheritdoc cref="Read(PostRequest, LoopHandlerCatalog)"/>
    public static ReadEvent Read(LoopEvent e, LoopHandlerCatalog handlers)
    {
        var handler = handlers.Get(e.Handler);
        if (e.Body.ValueKind == JsonValueKind.Undefined) throw new LoopEventException($"An event for handler '{e.Handler}' has no body.");
        if (JsonMarshal.GetRawUtf8Value(e.Body).Length is var length && length > PostRequest.MaxBodyBytes)
            throw new LoopEventException($"An event for handler '{e.Handler}' has {length:N0} bytes; {PostRequest.MaxBodyBytes:N0} are allowed. Post a reference instead of the data.");
        return new ReadEvent(handler, handler.ReadEvent(e.Body));
    }

    /// <summary>Returns where a key belongs: the same in all processes.</summary>
    /// <remarks>FNV-1a, finished as MurmurHash3 does it, for keys that differ in their last digit alone.</remarks>
    public static int PartitionOf(string key, int partitions)
    {
        var hash = 2_166_136_261u;
        foreach (var c in key) hash = (hash ^ c) * 16_777_619;
        hash = (hash ^ (hash >> 16)) * 0x85EB_CA6B;
        hash = (hash ^ (hash >> 13)) * 0xC2B2_AE35;
        return (int)((hash ^ (hash >> 16)) % (uint)partitions);
    }

    private static string Shorten(string? text) => text is { Length: > 80 } ? text[..80] + "…" : text ?? "";
}

/// <summary>An event as its handler takes it.</summary>
internal readonly record struct ReadEvent(LoopHandler Handler, object Body);
