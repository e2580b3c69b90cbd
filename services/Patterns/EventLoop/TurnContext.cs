using System.Runtime.InteropServices;

namespace DistributedPatterns.EventLoop;

/// <summary>Work off the loop.</summary>
/// <param name="cancellationToken">Cancelled when the loop stops, or its partition is lost.</param>
/// <returns>The event with which it comes back to the key.</returns>
public delegate ValueTask<LoopEvent> OffLoopWork(CancellationToken cancellationToken);

/// <summary>One turn of a handler: whose it is, and what it asks for. What it asks for happens if the turn succeeds, together with the new state.</summary>
public sealed class TurnContext
{
    /// <summary>The most timers that a turn can set or cancel, and the most works that it can send off the loop.</summary>
    public const int MaxRequests = 4;

    private readonly List<TimerRequest> _timers = [];
    private readonly List<OffLoopWork> _offLoop = [];

    internal TurnContext()
    {
    }

    public string Key { get; private set; } = "";

    /// <summary>Gets the place of the event in its partition, or, in a timer's turn, of the last event before it. It rises and is never given twice.</summary>
    public long Position { get; private set; }

    /// <summary>Gets the epoch of the partition's owner. A store elsewhere that keeps the highest it saw can refuse the others.</summary>
    public long Epoch { get; private set; }

    internal ReadOnlySpan<TimerRequest> Timers => CollectionsMarshal.AsSpan(_timers);

    internal ReadOnlySpan<OffLoopWork> OffLoop => CollectionsMarshal.AsSpan(_offLoop);

    /// <summary>Sets a timer of the key, in place of one with the same name. Once it is due its event has a turn; turns never overlap.</summary>
    /// <param name="name">1 to 64 letters, digits, dots, underscores or hyphens.</param>
    /// <param name="delay">From zero to 365 days.</param>
    /// <param name="e">For a handler that is registered.</param>
    public void SetTimer(string name, TimeSpan delay, LoopEvent e)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(delay, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(delay, TimeSpan.FromDays(365));
        Add(_timers, new(CheckName(name), delay, e));
    }

    /// <summary>Takes a timer of the key back, if it is set.</summary>
    public void CancelTimer(string name) => Add(_timers, new(CheckName(name), default, null));

    /// <summary>Runs work off the loop once this turn is kept; it comes back with an event for the key.</summary>
    /// <remarks>Work is lost with its process, and when it throws: where that must not pass unnoticed, set a timer beside it.</remarks>
    public void RunOffLoop(OffLoopWork work)
    {
        ArgumentNullException.ThrowIfNull(work);
        Add(_offLoop, work);
    }

    internal TurnContext Begin(string key, long position, long epoch)
    {
        (Key, Position, Epoch) = (key, position, epoch);
        _timers.Clear();
        _offLoop.Clear();
        return this;
    }

    private static string CheckName(string name) =>
        name is { Length: >= 1 and <= 64 } && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-')
            ? name : throw new ArgumentException($"'{name}' is no name of a timer: 1 to 64 letters, digits, dots, underscores or hyphens.", nameof(name));

    private static void Add<T>(List<T> list, T item)
    {
        if (list.Count >= MaxRequests) throw new InvalidOperationException($"A turn asks for {MaxRequests} timers and {MaxRequests} works off the loop at most.");
        list.Add(item);
    }

    /// <param name="Event"><see langword="null"/> to cancel.</param>
    internal readonly record struct TimerRequest(string Name, TimeSpan Delay, LoopEvent? Event);
}
