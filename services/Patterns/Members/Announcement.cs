namespace DistributedPatterns.Members;

/// <summary>What an instance writes into Redis: "role grpc http", with a dash for what it does not serve.</summary>
internal readonly record struct Announcement(string Id, string Start, string Role, Uri? Grpc, Uri? Http)
{
    public string Address => $"{Role} {Grpc?.ToString() ?? "-"} {Http?.ToString() ?? "-"}";

    public static Announcement Parse(string id, string start, string address)
    {
        var parts = address.Split(' ');
        return parts.Length == 3
            ? new Announcement(id, start, parts[0], ToUri(parts[1]), ToUri(parts[2]))
            : throw new FormatException($"Member '{id}' announced itself as '{address}'; expected 'role grpc http'.");
    }

    public bool IsOf(Member member) => member.Start == Start && member.Role == Role && member.Grpc == Grpc && member.Http == Http;

    public Member ToMember(CancellationToken left) => new(Id, Role, Start, Grpc, Http, left);

    private static Uri? ToUri(string text) => text == "-" ? null : new Uri(text);
}
