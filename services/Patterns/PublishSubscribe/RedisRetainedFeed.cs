using DistributedPatterns.PublishSubscribe.Engine;
using DistributedPatterns.Redis;
using Microsoft.Extensions.Logging;

namespace DistributedPatterns.PublishSubscribe;

/// <summary>Reads a topic's log once for the whole process, into a ring. Waits for nobody.</summary>
internal sealed partial class RedisRetainedFeed<T> : IAsyncDisposable
{
    private readonly RedisTopicLog _log;
    private readonly RedisDoorbell.Listener _bell;
    private readonly TimeSpan _pollEvery;
    private readonly ILogger _logger;
    private readonly RedisLogCursor<T> _cursor;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _reading;

    public RedisRetainedFeed(RedisTopicLog log, RedisDoorbell.Listener bell, RedisLogCursor<T> cursor, RedisRetainedTopicOptions options, TimeProvider clock, ILogger logger)
    {
        (_log, _bell, _cursor, _pollEvery, _logger) = (log, bell, cursor, options.PollEvery, logger);
        Ring = new(options.Buffer, cursor.At, clock);
        Stopping = _stop.Token;
        _reading = Task.Run(ReadAsync);
    }

    public TopicRing<RedisSlot<T>, T> Ring { get; }

    public CancellationToken Stopping { get; }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _reading.ConfigureAwait(false);
        _bell.Dispose();
        _stop.Dispose();
    }

    private async Task ReadAsync()
    {
        var items = new List<TopicItem<T>>();
        try
        {
            while (true)
            {
                var reply = await _log.ReadAsync(_cursor.At, Stopping).ConfigureAwait(false);
                items.Clear();
                _cursor.Follow(reply, items);
                Ring.Push([.. items.Select(static item => new RedisSlot<T>(item))]);
                if (reply.Entries.Length < RedisTopicLog.MaxRead && items.Count == reply.Entries.Length) await _bell.WaitAsync(_pollEvery, Stopping).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (Stopping.IsCancellationRequested)
        {
            // The last subscriber has left, or the topic is closed.
        }
        catch (Exception e)
        {
            LogEnded(e); // not an outage, those are waited for: it would be the same again
        }
        Ring.Close();
    }

    [LoggerMessage(LogLevel.Error, "A topic's log cannot be read; its subscribers end")]
    private partial void LogEnded(Exception exception);
}
