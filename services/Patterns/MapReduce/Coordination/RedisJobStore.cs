using System.Globalization;
using System.Text.Json;
using DistributedPatterns.Redis;
using StackExchange.Redis;

namespace DistributedPatterns.MapReduce.Coordination;

/// <summary>What all processes know of jobs (<c>mapreduce.lua</c>). Calls are repeated while Redis is away, for every one of them is safe to repeat.</summary>
internal sealed class RedisJobStore(IConnectionMultiplexer redis, RedisMapReduceOptions options, TimeProvider time)
{
    private static readonly RedisScript s_script = RedisScript.Load("MapReduce/mapreduce.lua");
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_keepOpen = TimeSpan.FromDays(1); // after the last write

    private readonly RedisRetry _retry = new(time);

    /// <summary>Gets what is rung with a job's id when a task of it is committed, and when it ends.</summary>
    public RedisChannel BellChannel { get; } = RedisChannel.Literal($"{{{options.KeyTag}}}:bell");

    /// <summary>Records a job, unless the id asks for the same already.</summary>
    /// <exception cref="MapReduceConflictException">It asks for something else.</exception>
    public async Task OpenAsync(string job, MapReduceRequest request)
    {
        var json = JsonSerializer.Serialize(new TaskOrder(job, request, 0, 0, 0), MapReduceJson.Default.TaskOrder);
        var reply = await EvaluateAsync("open", job, s_keepOpen, CancellationToken.None, json).ConfigureAwait(false);
        if ((int)reply[0] == 1) return;
        var known = JsonSerializer.Deserialize((string)reply[1]!, MapReduceJson.Default.TaskOrder)!.Request;
        if (!known.AsksTheSameAs(request)) throw new MapReduceConflictException(job);
    }

    /// <summary>Begins a phase. False when another coordinator has the job by now, or it has ended.</summary>
    /// <exception cref="MapReduceJobException">It was begun with another number of tasks: the input has changed.</exception>
    public async Task<bool> InitAsync(string job, TaskPhase phase, long epoch, int total, CancellationToken cancellationToken)
    {
        var reply = await EvaluateAsync("init", job, s_keepOpen, cancellationToken, (int)phase, Text(epoch), total).ConfigureAwait(false);
        return (int)reply[0] >= 0 ? (int)reply[0] == 1 : throw new MapReduceJobException("The input has changed since the job began.");
    }

    /// <summary>Makes an attempt the one that counts, unless another one does.</summary>
    public async Task<CommitOutcome> CommitAsync(string job, TaskPhase phase, int task, TaskCommit commit)
    {
        var reply = await EvaluateAsync("commit", job, s_keepOpen, CancellationToken.None, (int)phase, task, commit.Attempt, commit.ToText()).ConfigureAwait(false);
        if ((int)reply[0] == 1) Ring(job);
        return (CommitOutcome)(int)reply[0];
    }

    /// <summary>Takes back an attempt whose output was lost.</summary>
    public async Task RevokeAsync(string job, TaskPhase phase, int task, string attempt, CancellationToken cancellationToken)
    {
        await EvaluateAsync("revoke", job, s_keepOpen, cancellationToken, (int)phase, task, attempt).ConfigureAwait(false);
        Ring(job);
    }

    /// <summary>Ends a job, unless it has ended.</summary>
    /// <param name="epoch">Of the coordinator, which is refused when another one has the job; <see langword="null"/> for whoever may end it at any time.</param>
    /// <returns>The end that counts; <see langword="null"/> when refused, or when there is no such job.</returns>
    public async Task<JobEnd?> EndAsync(string job, long? epoch, JobEnd end, CancellationToken cancellationToken)
    {
        var json = JsonSerializer.Serialize(end, MapReduceJson.Default.JobEnd);
        var reply = await EvaluateAsync("end", job, options.KeepResults, cancellationToken, epoch is { } known ? Text(known) : "", json).ConfigureAwait(false);
        if ((int)reply[0] != 1) return null;
        Ring(job);
        return JsonSerializer.Deserialize((string)reply[1]!, MapReduceJson.Default.JobEnd);
    }

    /// <summary>Reads a job, or <see langword="null"/> when it is unknown or forgotten.</summary>
    public async Task<JobRecord?> FindAsync(string job, CancellationToken cancellationToken)
    {
        var reply = await EvaluateAsync("status", job, s_keepOpen, cancellationToken).ConfigureAwait(false);
        if (reply.Length == 0) return null;
        var end = (string)reply[1]!;
        return new JobRecord(
            JsonSerializer.Deserialize((string)reply[0]!, MapReduceJson.Default.TaskOrder)!.Request,
            end.Length == 0 ? null : JsonSerializer.Deserialize(end, MapReduceJson.Default.JobEnd),
            new TaskProgress((int)reply[3], (int)reply[2]), new TaskProgress((int)reply[5], (int)reply[4]));
    }

    /// <summary>Reads the attempts that count, by task.</summary>
    public Task<Dictionary<int, TaskCommit>> CommitsAsync(string job, TaskPhase phase, CancellationToken cancellationToken) => RetryAsync(async () =>
    {
        var fields = await redis.GetDatabase().HashGetAllAsync(Keys(job)[(int)phase - 1]).ConfigureAwait(false);
        return fields.ToDictionary(field => (int)field.Name, field => TaskCommit.Parse((string)field.Value!));
    }, cancellationToken);

    /// <summary>Returns whether an attempt of a task counts.</summary>
    public Task<bool> IsCommittedAsync(string job, TaskPhase phase, int task, CancellationToken cancellationToken) =>
        RetryAsync(() => redis.GetDatabase().HashExistsAsync(Keys(job)[(int)phase - 1], task), cancellationToken);

    private void Ring(string job) => redis.GetSubscriber().Publish(BellChannel, job, CommandFlags.FireAndForget);

    private Task<RedisResult[]> EvaluateAsync(string operation, string job, TimeSpan keep, CancellationToken cancellationToken, params RedisValue[] arguments) =>
        RetryAsync(async () => (RedisResult[])(await s_script.EvaluateAsync(
            redis.GetDatabase(), Keys(job), [operation, (long)keep.TotalMilliseconds, .. arguments]).ConfigureAwait(false))!, cancellationToken);

    private Task<T> RetryAsync<T>(Func<Task<T>> call, CancellationToken cancellationToken) => _retry.RunAsync(call, s_patience, time.GetTimestamp(), cancellationToken);

    private RedisKey[] Keys(string job) => [$"{{{options.KeyTag}}}:job:{job}", $"{{{options.KeyTag}}}:maps:{job}", $"{{{options.KeyTag}}}:reduces:{job}"];

    private static string Text(long epoch) => epoch.ToString(CultureInfo.InvariantCulture);
}

/// <summary>What became of a commit.</summary>
internal enum CommitOutcome
{
    /// <summary>Nobody wants it: the job has ended or is unknown.</summary>
    Ended = -1,

    /// <summary>Another attempt counts.</summary>
    Discarded = 0,

    /// <summary>It counts.</summary>
    Committed = 1,
}
