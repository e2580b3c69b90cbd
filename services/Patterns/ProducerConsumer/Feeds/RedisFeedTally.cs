using System.Text.Json;
using DistributedPatterns.Redis;
using StackExchange.Redis;

namespace DistributedPatterns.ProducerConsumer.Feeds;

/// <summary>The tally over all processes: three keys a feed, and commands that can be repeated, so that no script is needed.</summary>
internal sealed class RedisFeedTally(IConnectionMultiplexer redis, TimeProvider time) : IFeedTally
{
    private static readonly TimeSpan s_keep = TimeSpan.FromHours(1); // after the last write
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    private readonly RedisRetry _retry = new(time);

    private IDatabase Db => redis.GetDatabase();

    public Task OpenAsync(string feed, FeedOrder order, CancellationToken cancellationToken) =>
        RetryAsync(() => Db.StringSetAsync(Key(feed, "order"), JsonSerializer.SerializeToUtf8Bytes(order, FeedJson.Default.FeedOrder), s_keep), cancellationToken);

    public Task SetProducedAsync(string feed, int produced) => RetryAsync(async () =>
    {
        // Only upwards: a producer that was frozen and wakes up must not take back what its successor did.
        await Task.WhenAll(
            Db.SortedSetAddAsync(Key(feed, "produced"), "records", produced, SortedSetWhen.GreaterThan),
            Db.KeyExpireAsync(Key(feed, "produced"), s_keep)).ConfigureAwait(false);
        return true;
    }, CancellationToken.None);

    public Task AddAsync(IReadOnlyList<FeedOutcome> outcomes) => RetryAsync(async () =>
    {
        await Task.WhenAll(outcomes.GroupBy(outcome => outcome.Feed).SelectMany(group => (Task[])[
            Db.HashSetAsync(Key(group.Key, "consumed"), [.. group.Select(outcome => new HashEntry(outcome.Number, outcome.Category))]),
            Db.KeyExpireAsync(Key(group.Key, "consumed"), s_keep)])).ConfigureAwait(false);
        return true;
    }, CancellationToken.None);

    public Task<FeedProgress?> ReadAsync(string feed, CancellationToken cancellationToken) => RetryAsync(async () =>
    {
        var order = Db.StringGetAsync(Key(feed, "order"));
        var produced = Db.SortedSetScoreAsync(Key(feed, "produced"), "records");
        var consumed = Db.HashLengthAsync(Key(feed, "consumed"));
        await Task.WhenAll(order, produced, consumed).ConfigureAwait(false);
        return (byte[]?)await order.ConfigureAwait(false) is { } json
            ? new FeedProgress(JsonSerializer.Deserialize(json, FeedJson.Default.FeedOrder)!, (int)(await produced.ConfigureAwait(false) ?? 0), (int)await consumed.ConfigureAwait(false))
            : null;
    }, cancellationToken);

    public Task<IReadOnlyDictionary<string, int>> CategoriesAsync(string feed, CancellationToken cancellationToken) => RetryAsync(async () =>
    {
        var categories = await Db.HashValuesAsync(Key(feed, "consumed")).ConfigureAwait(false);
        return (IReadOnlyDictionary<string, int>)categories.CountBy(category => (string)category!).ToDictionary();
    }, cancellationToken);

    private Task<T> RetryAsync<T>(Func<Task<T>> call, CancellationToken cancellationToken) => _retry.RunAsync(call, s_patience, time.GetTimestamp(), cancellationToken);

    private static RedisKey Key(string feed, string what) => $"{{feed.{feed}}}:{what}";
}
