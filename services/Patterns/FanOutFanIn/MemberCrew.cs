using DistributedPatterns.FanOutFanIn.Engine;
using DistributedPatterns.FanOutFanIn.Protocol;
using DistributedPatterns.Members;
using Grpc.Core;
using Microsoft.Extensions.Logging;

namespace DistributedPatterns.FanOutFanIn;

/// <summary>Keeps a stream to each living worker that has a share of the degree, until everything is answered.</summary>
/// <param name="run">The gathering.</param>
/// <param name="degree">Over all workers; <see langword="null"/> gives each one <see cref="GrpcScatterGatherOptions.DegreePerWorker"/>.</param>
/// <param name="firstPlace">Which of the workers comes first, so that gatherings of few items do not all meet at the same one.</param>
internal sealed partial class MemberCrew<TIn, TOut>(
    ScatterRun<TIn, TOut> run, int? degree, int firstPlace, IMembers members, IMemberChannels channels, GrpcScatterGatherOptions options, ILogger logger) : ICrew
{
    private static readonly TimeSpan s_shortestPause = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan s_longestPause = TimeSpan.FromSeconds(2);

    private readonly Lock _lock = new();
    private readonly Pulse _changed = new();
    private readonly Dictionary<Member, MemberLink<TIn, TOut>> _links = [];
    private readonly Dictionary<Member, (int Failures, long At)> _broken = [];
    private long _aloneSince = run.Time.GetTimestamp();

    public int Degree
    {
        get => degree ?? options.DegreePerWorker * Math.Max(1, members.Live(options.Role).Count);
        set
        {
            lock (_lock)
            {
                degree = value;
                _changed.Set();
            }
        }
    }

    public int Running
    {
        get
        {
            lock (_lock) return _links.Values.Sum(link => link.Share);
        }
    }

    public async Task RunAsync()
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(run.Token);
        var watching = WatchAsync(over.Token);
        var done = run.Line.WhenDoneAsync();
        var running = new List<Task>();
        try
        {
            while (!done.IsCompleted)
            {
                Task changed;
                lock (_lock) changed = _changed.NextAsync();
                running.RemoveAll(task => task.IsCompleted);
                await ShareOutAsync(running).ConfigureAwait(false);
                await Task.WhenAny(done, changed, Task.Delay(UntilNextLook(), run.Time, over.Token)).ConfigureAwait(false);
                if (IsAloneTooLong()) run.End(new ScatterEnding(false, report => new NoWorkerException(options.Role, options.MemberWait, report)));
            }
        }
        catch (Exception error)
        {
            run.End(ScatterEnding.By(error)); // at once, so that the streams end too
        }
        lock (_lock)
            foreach (var link in _links.Values) link.Finish();
        await Task.WhenAll(running).ConfigureAwait(false);
        await over.CancelAsync().ConfigureAwait(false);
        await watching.ConfigureAwait(false);
    }

    public Func<GatherReport, Exception>? WhyIdle()
    {
        lock (_lock)
        {
            var alone = run.Time.GetElapsedTime(_aloneSince);
            if (_links.Count > 0 || alone < -run.Remaining) return null; // streams end at the deadline too
            return report => new NoWorkerException(options.Role, alone, report);
        }
    }

    /// <summary>Gives each living worker its share, and opens streams to those that have one and no stream.</summary>
    private async Task ShareOutAsync(List<Task> running)
    {
        var shares = Shares();
        run.Line.ShareAmong(Math.Max(1, shares.Sum(share => share.Share)));
        foreach (var (member, share) in shares)
        {
            MemberLink<TIn, TOut>? link;
            lock (_lock) _links.TryGetValue(member, out link);
            if (link is null && share > 0 && run.Ending is null && run.Remaining is not { Ticks: <= 0 })
            {
                link = new MemberLink<TIn, TOut>(run, member, new FanOutWorker.FanOutWorkerClient(channels.To(member)), options.MaxAttempts);
                await link.SetShareAsync(share).ConfigureAwait(false);
                lock (_lock) _links[member] = link;
                running.Add(RunAsync(member, link));
            }
            else if (link is not null)
            {
                await link.SetShareAsync(share).ConfigureAwait(false);
            }
        }
    }

    private List<(Member Member, int Share)> Shares()
    {
        lock (_lock)
        {
            var now = run.Time.GetTimestamp();
            var usable = members.Live(options.Role)
                .Where(member => member.Grpc is not null && !(_broken.TryGetValue(member, out var broken) && now < broken.At)).ToList();
            var shares = new List<(Member, int)>(usable.Count);
            for (var i = 0; i < usable.Count; i++)
            {
                // In turn from the first place on: with a degree of 4, three workers have 2, 1 and 1.
                var turn = (i - firstPlace % usable.Count + usable.Count) % usable.Count;
                shares.Add((usable[i], degree is { } all ? (all / usable.Count) + (turn < all % usable.Count ? 1 : 0) : options.DegreePerWorker));
            }
            return shares;
        }
    }

    private async Task RunAsync(Member member, MemberLink<TIn, TOut> link)
    {
        await link.RunAsync().ConfigureAwait(false);
        if (link.Error is { StatusCode: StatusCode.FailedPrecondition or StatusCode.InvalidArgument } refused)
            run.End(ScatterEnding.By(new UnknownBranchException($"{member.Id}: {refused.Status.Detail}")));
        lock (_lock)
        {
            _links.Remove(member);
            if (_links.Count == 0) _aloneSince = run.Time.GetTimestamp();
            if (run.Ending is null && link.Error is { } error)
            {
                var failures = _broken.GetValueOrDefault(member).Failures + 1;
                var pause = Math.Min(s_longestPause.Ticks, s_shortestPause.Ticks << Math.Min(failures, 10)) * (0.5 + Random.Shared.NextDouble());
                _broken[member] = (failures, run.Time.GetTimestamp() + (long)(pause / TimeSpan.TicksPerSecond * run.Time.TimestampFrequency));
                LogWorkerLost(member.Id, run.Branch.Name, error.Status.Detail);
            }
            _changed.Set();
        }
    }

    private async Task WatchAsync(CancellationToken cancellationToken)
    {
        try
        {
            await foreach (var _ in members.WatchAsync(options.Role, cancellationToken).ConfigureAwait(false))
            {
                lock (_lock) _changed.Set();
            }
        }
        catch (OperationCanceledException)
        {
            // Over.
        }
    }

    // A broken stream to a member that still lives is tried again after a pause, and that nobody came is noticed in time.
    private TimeSpan UntilNextLook()
    {
        lock (_lock) return _broken.Count > 0 || _links.Count == 0 ? s_shortestPause : s_longestPause;
    }

    private bool IsAloneTooLong()
    {
        lock (_lock) return _links.Count == 0 && run.Time.GetElapsedTime(_aloneSince) >= options.MemberWait;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Worker {Worker} is lost to a gathering of branch {Branch}, what it had goes to others: {Reason}")]
    private partial void LogWorkerLost(string worker, string branch, string reason);
}
