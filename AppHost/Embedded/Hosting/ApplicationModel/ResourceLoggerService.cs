using System.Collections.Concurrent;

namespace Aspire.Hosting.ApplicationModel;

public readonly record struct LogLine(int LineNumber, string Content, bool IsErrorMessage)
{
    /// <summary>Gets when this host read the line.</summary>
    internal DateTimeOffset Time { get; init; }
}

/// <summary>Keeps the last lines that each replica wrote.</summary>
public class ResourceLoggerService
{
    private const int MaxLines = 2_000;

    private const int MaxLineLength = 4_096;

    private readonly ConcurrentDictionary<string, ReplicaLog> _logs = new(StringComparer.OrdinalIgnoreCase);

    private readonly TimeProvider _time;

    internal ResourceLoggerService(TimeProvider time) => _time = time;

    /// <summary>Raised for each line, in the order of one replica's stream.</summary>
    internal event Action<string, LogLine>? LineWritten;

    /// <summary>Gets the lines that are kept of one replica, the oldest first.</summary>
    public async IAsyncEnumerable<IReadOnlyList<LogLine>> GetAllAsync(string resourceName)
    {
        await Task.CompletedTask;
        yield return Tail(resourceName, MaxLines);
    }

    internal IReadOnlyList<LogLine> Tail(string resourceId, int count) =>
        _logs.TryGetValue(resourceId, out var log) ? log.Tail(count) : [];

    internal void Write(string resourceId, string text, bool isError)
    {
        var kept = text.Length > MaxLineLength ? string.Concat(text.AsSpan(0, MaxLineLength), "…") : text;
        var line = _logs.GetOrAdd(resourceId, static _ => new()).Add(kept, isError, _time.GetUtcNow());
        LineWritten?.Invoke(resourceId, line);
    }

    private sealed class ReplicaLog
    {
        private readonly Lock _lock = new();
        private readonly Queue<LogLine> _lines = [];
        private int _written;

        public LogLine Add(string text, bool isError, DateTimeOffset time)
        {
            lock (_lock)
            {
                var line = new LogLine(++_written, text, isError) { Time = time };
                _lines.Enqueue(line);
                if (_lines.Count > MaxLines)
                {
                    _lines.Dequeue();
                }

                return line;
            }
        }

        public IReadOnlyList<LogLine> Tail(int count)
        {
            lock (_lock)
            {
                return [.. _lines.TakeLast(count)];
            }
        }
    }
}
