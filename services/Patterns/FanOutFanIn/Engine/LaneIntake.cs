namespace DistributedPatterns.FanOutFanIn.Engine;

/// <summary>Lets the items of one key through one at a time, in their order; items of other keys pass by.</summary>
/// <remarks>
/// Lanes are filled in the order in which the inputs are read, before anybody takes one: workers that sorted their own items
/// into lanes would do so in the order in which they happened to come by.
/// </remarks>
internal sealed class LaneIntake<TIn>(Intake<TIn> inner, Func<TIn, string?> key) : Intake<TIn>
{
    private readonly Queue<Item> _ready = [];
    private readonly Dictionary<string, Queue<Item>> _lanes = new(StringComparer.Ordinal); // of keys whose first item is ready or runs
    private readonly Dictionary<long, string> _running = [];

    private readonly record struct Item(TIn Input, long Index, long ReadAt);

    public override long Read => inner.Read;

    public override long Asked => inner.Asked;

    public override bool HasEnded => inner.HasEnded && _ready.Count == 0 && _lanes.Count == 0;

    public override bool HasLanes => true;

    public override bool TryTake(int wanted, long room, out Stretch<TIn> stretch)
    {
        for (; inner.TryTake(int.MaxValue, room, out var read); room -= read.Count) Sort(read);
        stretch = default;
        if (!_ready.TryDequeue(out var item)) return false;
        stretch = new Stretch<TIn>([item.Input], 0, 1, item.Index, item.ReadAt);
        return true;
    }

    public override void Release(long index)
    {
        if (!_running.Remove(index, out var lane)) return;
        if (_lanes[lane].TryDequeue(out var next)) Admit(next, lane);
        else _lanes.Remove(lane);
    }

    public override IEnumerable<MissingInputs> Untaken() =>
        inner.Untaken().Concat(_ready.Concat(_lanes.Values.SelectMany(lane => lane)).Select(item => new MissingInputs(item.Index, 1)));

    public override Task PumpAsync(ILineGate gate, CancellationToken cancellationToken) => inner.PumpAsync(gate, cancellationToken);

    private void Sort(Stretch<TIn> read)
    {
        for (var i = 0; i < read.Count; i++)
        {
            var item = new Item(read.Items[read.Offset + i], read.First + i, read.ReadAt);
            if (key(item.Input) is not { } lane)
            {
                _ready.Enqueue(item);
            }
            else if (_lanes.TryGetValue(lane, out var waiting))
            {
                waiting.Enqueue(item);
            }
            else
            {
                _lanes[lane] = [];
                Admit(item, lane);
            }
        }
    }

    private void Admit(Item item, string lane)
    {
        _running[item.Index] = lane;
        _ready.Enqueue(item);
    }
}
