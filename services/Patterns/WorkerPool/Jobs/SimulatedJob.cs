using DistributedPatterns.Scenarios;

namespace DistributedPatterns.WorkerPool;

/// <summary>The job <c>simulated</c>, for load tests: its input is the work as <see cref="SimulatedWork.TryParse"/> reads it, its result the same.</summary>
public static class SimulatedJob
{
    public const string Name = "simulated";

    public static JobDefinition<string, string> Create(TimeProvider time) => new(
        Name,
        async (text, _, cancellationToken) =>
        {
            if (!SimulatedWork.TryParse(text, out var work)) throw new JobRefusedException($"The work is {SimulatedWork.Accepted}.");
            await work.RunAsync(time, cancellationToken).ConfigureAwait(false);
            return text;
        },
        WorkerPoolJobsJson.Default.String, WorkerPoolJobsJson.Default.String);
}
