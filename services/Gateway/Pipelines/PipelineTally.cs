using DistributedPatterns.Pipeline;

namespace DistributedPatterns.Gateway.Pipelines;

/// <summary>Adds up what became of the runs that this gateway started.</summary>
internal sealed class PipelineTally
{
    private readonly Lock _lock = new();
    private readonly Dictionary<PipelineState, long> _ended = [];
    private PipelineLedger _ledger = new();
    private long _started;
    private long _unknown;

    public void Start()
    {
        lock (_lock) _started++;
    }

    /// <summary>Counts an ended run, or one whose end nobody will learn of.</summary>
    public void End(PipelineStatus? status)
    {
        lock (_lock)
        {
            if (status is null)
            {
                _unknown++;
                return;
            }
            _ended[status.State] = Of(status.State) + 1;
            _ledger = new PipelineLedger
            {
                Read = _ledger.Read + status.Ledger.Read,
                Done = _ledger.Done + status.Ledger.Done,
                Skipped = _ledger.Skipped + status.Ledger.Skipped,
                Diverted = _ledger.Diverted + status.Ledger.Diverted,
                Failed = _ledger.Failed + status.Ledger.Failed,
                Dropped = _ledger.Dropped + status.Ledger.Dropped,
            };
        }
    }

    public PipelineStats Read(int watchers)
    {
        lock (_lock)
        {
            return new PipelineStats(
                _started - _unknown - _ended.Values.Sum(), _started, Of(PipelineState.Completed), Of(PipelineState.Drained),
                Of(PipelineState.Aborted), Of(PipelineState.Failed), watchers, _ledger);
        }
    }

    private long Of(PipelineState state) => _ended.GetValueOrDefault(state);
}
