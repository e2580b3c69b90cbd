using System.Globalization;
using StackExchange.Redis;

namespace DistributedPatterns.EventLoop.Engine;

/// <summary>What the turns of a batch have changed so far, none of it kept yet.</summary>
internal sealed class RedisTurnBatch(long cursor)
{
    private readonly Dictionary<string, RedisValue> _changes = new(StringComparer.Ordinal);
    private SlowTurn? _slowest;
    private int _slow;

    public string Id { get; } = Guid.NewGuid().ToString("N");

    public long To { get; private set; } = cursor;

    public int Applied { get; set; }

    public int Dead { get; set; }

    public int Timers { get; set; }

    public string? Error { get; set; }

    /// <summary>Gets whether somebody waits for one of the events.</summary>
    public bool IsAsked { get; private set; }

    public bool IsEmpty => Applied + Dead + Timers == 0;

    /// <summary>Gets timers in the order in which they were set or, without a value, cancelled.</summary>
    public List<(string Field, TimeSpan Delay, string? Value)> NewTimers { get; } = [];

    public List<(string Key, long Position, OffLoopWork Work)> OffLoop { get; } = [];

    public void Advance(long position, bool isAsked) => (To, IsAsked) = (position, IsAsked || isAsked);

    public void Change(string field, RedisValue value) => _changes[field] = value;

    public void SetTimer(string field, TimeSpan delay, LoopEvent? e)
    {
        var value = e is { } one ? $"{one.Handler} {one.Body.GetRawText()}" : null;
        NewTimers.Add((field, delay, value));
        Change("t:" + field, value is null ? RedisValue.EmptyString : string.Create(CultureInfo.InvariantCulture, $"{(long)Math.Ceiling(delay.TotalMilliseconds)} {value}"));
    }

    public void AddSlow(string handler, TimeSpan took)
    {
        _slow++;
        if (took >= (_slowest?.Took ?? default)) _slowest = new SlowTurn(handler, took);
    }

    /// <param name="after">The id of the batch that was kept last.</param>
    public RedisCommit ToCommit(long from, string after) => new(
        Id, after, from, To, Applied, Dead, Timers, _slow, _slowest is null ? null : string.Create(CultureInfo.InvariantCulture, $"{_slowest.Handler} {(long)_slowest.Took.TotalMilliseconds}"),
        Error is { Length: > 500 } error ? error[..500] : Error, _changes);
}
