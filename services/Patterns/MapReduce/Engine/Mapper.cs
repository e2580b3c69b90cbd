using Microsoft.Win32.SafeHandles;

namespace DistributedPatterns.MapReduce.Engine;

/// <summary>Maps splits one after the other, and writes what they gave in sorted runs: when its memory is full, and at the end.</summary>
internal sealed class Mapper(IMapReduceJob job, MapReduceRequest request, int partitions, MapReduceOptions limits, Func<int, string> pathOfRun)
{
    private readonly MapOutput _output = new(job.Fold, request.Combiner, limits.MapperMemoryBytes);
    private readonly IRecordMapper _mapper = job.CreateMapper(request.Parameters);
    private readonly List<string> _runs = [];
    private long _records;
    private long _skipped;
    private long _pairs;
    private long _bytes;
    private long _spills;

    public IReadOnlyList<string> Runs => _runs;

    public MapCounters Counters => new(_records, _skipped, _output.Emitted, _pairs, _bytes, _spills);

    /// <exception cref="MapReduceJobException">A record is refused, and the request says to stop then.</exception>
    public async Task MapAsync(SafeFileHandle file, Split split, CancellationToken cancellationToken)
    {
        using var lines = new LineReader(file, split, limits.MaxRecordBytes);
        while (await lines.FillAsync(cancellationToken).ConfigureAwait(false)) MapLines(lines);
    }

    /// <summary>Writes what is in memory.</summary>
    public void Flush()
    {
        if (!_output.IsEmpty) Write();
    }

    private void MapLines(LineReader lines)
    {
        while (lines.TryTake(out var line, out var offset))
        {
            _records++;
            try
            {
                if (line.Length > limits.MaxRecordBytes) throw new FormatException($"it is longer than {limits.MaxRecordBytes:N0} bytes");
                _mapper.Map(line, offset, _output);
            }
            catch (FormatException refused)
            {
                if (request.OnBadRecord == BadRecordPolicy.Stop)
                    throw new MapReduceJobException($"The record at byte {offset} of '{request.Input}' is refused: {refused.Message}. With onBadRecord=skip such records are left out.", refused);
                _skipped++;
            }
            if (!_output.IsFull) continue;
            _spills++;
            Write();
        }
    }

    private void Write()
    {
        _runs.Add(pathOfRun(_runs.Count));
        using var run = new RunWriter(_runs[^1], job.Fold);
        _output.WriteTo(run, partitions);
        _bytes += run.Finish();
        _pairs += run.Pairs;
        _output.Clear();
    }
}
