using DistributedPatterns.Diagnostics;
using DistributedPatterns.FanOutFanIn.Engine;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.FanOutFanIn;

/// <summary>Fan-out/fan-in inside one process: loops on the thread pool take slices of the inputs and publish each answer in place.</summary>
/// <remarks>
/// Each item runs once. Slices adapt: as many items as run in a tenth of a millisecond, one to begin with; what a loop holds
/// and has not begun is taken by one that has nothing to do, so an item that turns out slow holds up nobody but itself.
/// </remarks>
public sealed class ChannelScatterGather : IScatterGather, IAsyncDisposable
{
    private static readonly TimeSpan s_sliceTarget = TimeSpan.FromMicroseconds(100);

    private readonly BranchCatalog _catalog;
    private readonly ScatterHost _host;

    public ChannelScatterGather(BranchCatalog catalog, IOptions<ChannelScatterGatherOptions> options, TimeProvider time)
    {
        _catalog = catalog;
        _host = new ScatterHost(Variants.Channel, time, options.Value.Grace, options.Value.MaxOpen);
    }

    public ScatterStats Stats => _host.Stats;

    public IGather<TOut> Scatter<TIn, TOut>(string branch, IReadOnlyList<TIn> inputs, ScatterOptions<TIn>? options = null)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        return Prepare(_catalog.Get<TIn, TOut>(branch), new ListIntake<TIn>(inputs, _host.Time), options);
    }

    public IGather<TOut> Scatter<TIn, TOut>(string branch, IAsyncEnumerable<TIn> inputs, ScatterOptions<TIn>? options = null)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        return Prepare(_catalog.Get<TIn, TOut>(branch), new SequenceIntake<TIn>(inputs, _host.Time), options);
    }

    public Task<FirstAnswer<TOut>> FirstAsync<TIn, TOut>(
        string branch, IReadOnlyList<TIn> candidates, FirstOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(candidates);
        var definition = _catalog.Get<TIn, TOut>(branch);
        return new FirstWins<TIn, TOut>(definition, candidates, options ?? new FirstOptions(), _host, (candidate, _, ask) => Prepare(definition, candidate, ask))
            .RunAsync(cancellationToken);
    }

    /// <summary>Gives branches that were left behind a last grace.</summary>
    public async ValueTask DisposeAsync() => await _host.WhenAllEndedAsync().ConfigureAwait(false);

    private Gather<TIn, TOut> Prepare<TIn, TOut>(BranchDefinition<TIn, TOut> branch, Intake<TIn> intake, ScatterOptions<TIn>? options) => new(
        branch, intake, (options ?? new ScatterOptions<TIn>()).Checked(), _host,
        run => new LoopCrew<TIn, TOut>(run, run.Options.Degree ?? Environment.ProcessorCount, s_sliceTarget), static () => Environment.ProcessorCount);
}
