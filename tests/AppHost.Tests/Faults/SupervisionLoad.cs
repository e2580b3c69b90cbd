using System.Globalization;
using System.Text.Json;

namespace DistributedPatterns.Tests.Faults;

/// <summary>Watches supervised children count a log: no count and no epoch goes back, no epoch has two owners, and the counts are those of the file.</summary>
internal sealed class SupervisionLoad(PatientClient client) : PatternLoad(client)
{
    private const string Tree = "/api/supervision/distributed/tree";

    private static readonly byte[] s_file = File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, "inputs", "UnicodeData.txt"));

    private readonly Dictionary<string, (long Epoch, string? Owner, long Count)> _seen = [];
    private JsonElement _tree;

    public override async Task RunAsync(Task over, CancellationToken cancellationToken)
    {
        var before = await ReadAsync(cancellationToken);
        while (!over.IsCompleted)
        {
            // Whoever waits for the first of this work waits until all children have counted on.
            if (HaveCountedOn(before)) Count();
            await PauseAsync(100, cancellationToken);
            await ReadAsync(cancellationToken);
        }
        before = _seen.ToDictionary();
        while (!HaveCountedOn(before) || !Children().All(child => child.GetProperty("state").GetString() == "Running"))
        {
            await PauseAsync(100, cancellationToken);
            await ReadAsync(cancellationToken);
        }
        Count();
    }

    public override Task CheckAsync(string fault, CancellationToken cancellationToken)
    {
        Assert.False(_tree.TryGetProperty("escalated", out _), _tree.GetRawText());
        var ledger = _tree.GetProperty("ledger");
        Assert.Equal(Of("started"), Of("running") + Of("exited") + Of("crashed") + Of("hung") + Of("stopped") + Of("lost"));
        Assert.Equal((0, 0), (Of("crashed"), Of("exited")));

        var kept = Children().Single(child => child.GetProperty("name").GetString() == "lines").GetProperty("value").GetString()!.Split(' ');
        var (offset, lines) = (long.Parse(kept[0], CultureInfo.InvariantCulture), long.Parse(kept[1], CultureInfo.InvariantCulture));
        var (rounds, rest) = Math.DivRem(offset, s_file.Length);
        Assert.Equal((rounds * s_file.AsSpan().Count((byte)'\n')) + s_file.AsSpan(0, (int)rest).Count((byte)'\n'), lines);
        return Task.CompletedTask;

        long Of(string name) => ledger.GetProperty(name).GetInt64();
    }

    private async Task<Dictionary<string, (long Epoch, string? Owner, long Count)>> ReadAsync(CancellationToken cancellationToken)
    {
        _tree = await Client.GetAsync(Tree, cancellationToken);
        foreach (var child in Children())
        {
            var name = child.GetProperty("name").GetString()!;
            var value = child.TryGetProperty("value", out var kept) ? kept.GetString()!.Split(' ') : ["0"];
            var now = (Epoch: child.GetProperty("epoch").GetInt64(), Owner: child.TryGetProperty("owner", out var owner) ? owner.GetString() : null,
                Count: long.Parse(value[value.Length > 1 ? 1 : 0], CultureInfo.InvariantCulture));
            if (_seen.TryGetValue(name, out var last))
            {
                Assert.True(now.Count >= last.Count, $"{name} went back from {last.Count} to {now.Count}: {_tree.GetRawText()}");
                Assert.True(now.Epoch >= last.Epoch, $"The epoch of {name} went back from {last.Epoch}: {_tree.GetRawText()}");
                if (now.Epoch == last.Epoch && last.Owner is not null) Assert.True(now.Owner is null || now.Owner == last.Owner, $"Epoch {now.Epoch} of {name} was {last.Owner}'s: {_tree.GetRawText()}");
            }
            _seen[name] = now;
        }
        return _seen.ToDictionary();
    }

    private bool HaveCountedOn(Dictionary<string, (long Epoch, string? Owner, long Count)> before) => _seen.All(child => child.Value.Count > before[child.Key].Count);

    private JsonElement.ArrayEnumerator Children() => _tree.GetProperty("children").EnumerateArray();
}
