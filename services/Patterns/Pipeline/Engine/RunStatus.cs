using System.Text.Json;

namespace DistributedPatterns.Pipeline.Engine;

/// <summary>How a run's counts and its end become a status, in both variants.</summary>
internal static class RunStatus
{
    /// <summary>Fills in what the stages have counted.</summary>
    /// <param name="done">How many items of the source are in the sink.</param>
    public static PipelineStatus Counted(this PipelineStatus status, RunScope scope, long done) => status with
    {
        Stages = [.. scope.Stages.Select(stage => stage.Read())],
        Diverted = scope.ReadDiverted(),
        Ledger = new PipelineLedger
        {
            Done = done,
            Skipped = scope.Stages.Sum(stage => stage.Skipped),
            Diverted = scope.Stages.Sum(stage => stage.Diverted),
            Read = scope.Stages[0].Read().Out,
        },
    };

    /// <summary>Closes the ledger: what is still on its way when a run ends is dropped.</summary>
    public static PipelineStatus Ended(this PipelineStatus status, PipelineState state, Exception? error = null, JsonElement? result = null)
    {
        // An item that the source could not give was never read, so it is not one that failed.
        var failedItem = error is PipelineStageException { Number: not null } stageError
            && (status.Stages.Count == 0 || stageError.Stage != status.Stages[0].Name);
        var ledger = status.Ledger with { Failed = failedItem ? 1 : 0 };
        return status with
        {
            State = state,
            Ledger = ledger with { Dropped = ledger.InFlight },
            Result = result,
            Error = error switch
            {
                null => null,
                PipelineStageException stage => new PipelineError(stage.Reason, stage.Stage, stage.Number),
                _ => new PipelineError(error.Message),
            },
        };
    }
}
