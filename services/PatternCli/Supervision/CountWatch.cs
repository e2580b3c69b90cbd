using System.Diagnostics;
using DistributedPatterns.Supervision;
using DistributedPatterns.Supervision.Tailing;

namespace DistributedPatterns.PatternCli.Supervision;

/// <summary>Reads the tree again and again, and notices a count that is smaller than it was.</summary>
internal sealed class CountWatch(ISupervised children)
{
    private readonly Dictionary<string, long> _seen = [];

    /// <summary>Gets how often the tree was read.</summary>
    public int Reads { get; private set; }

    /// <summary>Gets how often a count had gone back.</summary>
    public int Backwards { get; private set; }

    public async Task<ChildStatus> ChildAsync(string name) => (await ReadAsync()).Children.Single(child => child.Name == name);

    /// <exception cref="RunUnavailableException">It is not so within the limit.</exception>
    public async Task<SupervisionTree> UntilAsync(Func<SupervisionTree, bool> condition, TimeSpan limit, TimeSpan look)
    {
        var since = Stopwatch.GetTimestamp();
        while (true)
        {
            var tree = await ReadAsync();
            if (condition(tree)) return tree;
            if (tree.Escalated is { } reason) throw new RunUnavailableException($"The supervisor has given up: {reason}");
            if (Stopwatch.GetElapsedTime(since) > limit)
                throw new RunUnavailableException($"Not within {limit}: {string.Join("; ", tree.Children.Select(child => $"{child.Name} is {child.State}, {child.Reason}"))}");
            await Task.Delay(look, TimeProvider.System);
        }
    }

    private async Task<SupervisionTree> ReadAsync()
    {
        var tree = await children.ReadAsync();
        Reads++;
        foreach (var child in tree.Children.Where(child => child.Value is not null))
        {
            // The feed keeps how far the log has grown, the others a count.
            var now = child.Name == TailChildren.Feed ? long.Parse(child.Value!, System.Globalization.CultureInfo.InvariantCulture) : TailCount.Parse(child.Value).Value;
            if (now < _seen.GetValueOrDefault(child.Name)) Backwards++;
            _seen[child.Name] = now;
        }
        return tree;
    }
}
