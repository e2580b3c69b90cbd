using DistributedPatterns.Diagnostics;
using DistributedPatterns.FanOutFanIn.Engine;
using DistributedPatterns.Members;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.FanOutFanIn;

/// <summary>Fan-out/fan-in across processes: a stream to each living worker, slices of the inputs there, answers back as they are there.</summary>
/// <remarks>
/// What it adds to the contract:
/// <list type="bullet">
/// <item>The degree is over all workers, split evenly. A slow worker gets no more than it runs, and a little ahead when items are small.</item>
/// <item>A worker that dies, freezes or loses its connection is lost for what it had not answered: that goes to others, at most
/// <see cref="GrpcScatterGatherOptions.MaxAttempts"/> times. So an item may run more than once, also twice at a time, and is answered once.</item>
/// <item>Cancelling reaches the branch's code: the call is cancelled, and with it the token there. The deadline travels along.</item>
/// <item>While nobody is there it waits, for <see cref="GrpcScatterGatherOptions.MemberWait"/> at most, then a <see cref="NoWorkerException"/> says so.</item>
/// <item>The caller's process holds what it has read and not gathered; when it dies, the gathering is gone and its branches are cancelled.</item>
/// </list>
/// </remarks>
public sealed class GrpcScatterGather : IScatterGather, IAsyncDisposable
{
    private readonly BranchCatalog _catalog;
    private readonly IMembers _members;
    private readonly IMemberChannels _channels;
    private readonly GrpcScatterGatherOptions _options;
    private readonly ILogger _logger;
    private readonly ScatterHost _host;
    private int _next;

    public GrpcScatterGather(
        BranchCatalog catalog, IMembers members, IMemberChannels channels, IOptions<GrpcScatterGatherOptions> options, TimeProvider time, ILogger<GrpcScatterGather> logger)
    {
        (_catalog, _members, _channels, _options, _logger) = (catalog, members, channels, options.Value, logger);
        _host = new ScatterHost(Variants.Distributed, time, _options.Grace, _options.MaxOpen);
    }

    public ScatterStats Stats => _host.Stats;

    public IGather<TOut> Scatter<TIn, TOut>(string branch, IReadOnlyList<TIn> inputs, ScatterOptions<TIn>? options = null)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        return Prepare(_catalog.Get<TIn, TOut>(branch), new ListIntake<TIn>(inputs, _host.Time), options, NextPlace());
    }

    public IGather<TOut> Scatter<TIn, TOut>(string branch, IAsyncEnumerable<TIn> inputs, ScatterOptions<TIn>? options = null)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        return Prepare(_catalog.Get<TIn, TOut>(branch), new SequenceIntake<TIn>(inputs, _host.Time), options, NextPlace());
    }

    public Task<FirstAnswer<TOut>> FirstAsync<TIn, TOut>(
        string branch, IReadOnlyList<TIn> candidates, FirstOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(candidates);
        var definition = _catalog.Get<TIn, TOut>(branch);
        var place = NextPlace(); // each candidate begins at another worker, as long as there are others
        return new FirstWins<TIn, TOut>(definition, candidates, options ?? new FirstOptions(), _host, (candidate, number, ask) => Prepare(definition, candidate, ask, place + number))
            .RunAsync(cancellationToken);
    }

    /// <summary>Gives what was left behind a last grace. Members and channels are not its own.</summary>
    public async ValueTask DisposeAsync() => await _host.WhenAllEndedAsync().ConfigureAwait(false);

    private Gather<TIn, TOut> Prepare<TIn, TOut>(BranchDefinition<TIn, TOut> branch, Intake<TIn> intake, ScatterOptions<TIn>? options, int place) => new(
        branch, intake, (options ?? new ScatterOptions<TIn>()).Checked(), _host,
        run => new MemberCrew<TIn, TOut>(run, run.Options.Degree, place, _members, _channels, _options, _logger),
        () => _options.DegreePerWorker * Math.Max(1, _members.Live(_options.Role).Count));

    private int NextPlace() => Interlocked.Increment(ref _next) & 0xFFFFFF;
}
