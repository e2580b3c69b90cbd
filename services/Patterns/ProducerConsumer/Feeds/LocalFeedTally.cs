namespace DistributedPatterns.ProducerConsumer.Feeds;

/// <summary>The tally inside one process; it remembers the newest feeds only.</summary>
internal sealed class LocalFeedTally : IFeedTally
{
    private const int Kept = 64; // of at most 10,000 records each

    private readonly Lock _gate = new();
    private readonly Dictionary<string, Entry> _feeds = new(StringComparer.Ordinal);
    private readonly Queue<string> _byAge = new();

    public Task OpenAsync(string feed, FeedOrder order, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            if (!_feeds.TryAdd(feed, new Entry(order))) return Task.CompletedTask;
            _byAge.Enqueue(feed);
            if (_byAge.Count > Kept) _feeds.Remove(_byAge.Dequeue());
        }
        return Task.CompletedTask;
    }

    public Task SetProducedAsync(string feed, int produced)
    {
        lock (_gate)
        {
            if (_feeds.TryGetValue(feed, out var entry)) entry.Produced = Math.Max(entry.Produced, produced);
        }
        return Task.CompletedTask;
    }

    public Task AddAsync(IReadOnlyList<FeedOutcome> outcomes)
    {
        lock (_gate)
        {
            foreach (var (feed, number, category) in outcomes)
                if (_feeds.TryGetValue(feed, out var entry)) entry.Outcomes[number] = category;
        }
        return Task.CompletedTask;
    }

    public Task<FeedProgress?> ReadAsync(string feed, CancellationToken cancellationToken)
    {
        lock (_gate) return Task.FromResult(_feeds.TryGetValue(feed, out var entry) ? new FeedProgress(entry.Order, entry.Produced, entry.Outcomes.Count) : null);
    }

    public Task<IReadOnlyDictionary<string, int>> CategoriesAsync(string feed, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            return Task.FromResult<IReadOnlyDictionary<string, int>>(_feeds.TryGetValue(feed, out var entry)
                ? entry.Outcomes.Values.CountBy(category => category).ToDictionary()
                : new Dictionary<string, int>());
        }
    }

    private sealed class Entry(FeedOrder order)
    {
        public FeedOrder Order => order;

        public int Produced { get; set; }

        public Dictionary<int, string> Outcomes { get; } = [];
    }
}
