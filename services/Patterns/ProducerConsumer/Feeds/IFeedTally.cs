namespace DistributedPatterns.ProducerConsumer.Feeds;

/// <summary>What is known of feeds: what was asked for, produced and consumed.</summary>
/// <remarks>
/// Every write is one that can be repeated: a record's outcome has its own place, and the count of what was produced only rises. So
/// delivery at least once, a producer that begins again a little earlier, and a frozen one that wakes up late all leave the same numbers.
/// </remarks>
internal interface IFeedTally
{
    /// <summary>Notes a feed that is about to be asked for.</summary>
    Task OpenAsync(string feed, FeedOrder order, CancellationToken cancellationToken);

    /// <summary>Notes that the records up to this one are in the queue; a lower number than before changes nothing.</summary>
    Task SetProducedAsync(string feed, int produced);

    /// <summary>Notes what consumers made of records.</summary>
    Task AddAsync(IReadOnlyList<FeedOutcome> outcomes);

    /// <summary>Reads a feed, or <see langword="null"/> when it is unknown or was forgotten.</summary>
    Task<FeedProgress?> ReadAsync(string feed, CancellationToken cancellationToken);

    /// <summary>Counts a feed's consumed records by category.</summary>
    Task<IReadOnlyDictionary<string, int>> CategoriesAsync(string feed, CancellationToken cancellationToken);
}

/// <param name="Category">The record's general category.</param>
internal readonly record struct FeedOutcome(string Feed, int Number, string Category);

internal sealed record FeedProgress(FeedOrder Order, int Produced, int Consumed);
