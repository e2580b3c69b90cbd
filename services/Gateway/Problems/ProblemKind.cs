namespace DistributedPatterns.Gateway.Problems;

/// <summary>A kind of error that the gateway answers with: the page <c>/problems/{slug}</c> explains it.</summary>
/// <param name="Remedy">What the caller can do.</param>
internal sealed record ProblemKind(string Slug, int Status, string Title, string Remedy)
{
    public static readonly ProblemKind InvalidParameter = new("invalid-parameter", 400, "A parameter is not accepted",
        "The detail names the parameter and what it accepts.");
    public static readonly ProblemKind MalformedBody = new("malformed-body", 400, "The body cannot be read",
        "Send the JSON object that the reference page shows.");
    public static readonly ProblemKind EmptyBody = new("empty-body", 400, "The body is empty",
        "Send a JSON object that names an input, or the file itself as text/plain or application/octet-stream.");
    public static readonly ProblemKind UnknownPipeline = new("unknown-pipeline", 400, "There is no such pipeline",
        "The detail lists the pipelines that are registered.");
    public static readonly ProblemKind InvalidInput = new("invalid-input", 400, "The pipeline refuses the input",
        "The detail says what the pipeline reads: the name of an input, or a count.");
    public static readonly ProblemKind UnknownJob = new("unknown-job", 400, "There is no such job",
        "The detail lists the jobs that are registered.");
    public static readonly ProblemKind InvalidJobInput = new("invalid-job-input", 400, "The job does not take this input",
        "The detail says where the input differs from what the job takes.");
    public static readonly ProblemKind InvalidItems = new("invalid-items", 400, "An item is not accepted",
        "The detail names the item, its field and what that accepts.");
    public static readonly ProblemKind InvalidEvents = new("invalid-events", 400, "A key or an event is not accepted",
        "The detail says what a key can be, which handlers there are, or what the handler takes.");
    public static readonly ProblemKind UnknownInput = new("unknown-input", 422, "There is no such input",
        "The detail says which there are. PUT inputs/{name} puts a file among them.");
    public static readonly ProblemKind NoResult = new("no-result", 409, "The job has no result",
        "It has not ended, or not well: GET the job to read which.");
    public static readonly ProblemKind BadRequest = new("bad-request", 400, "The request cannot be understood",
        "The detail says which part of the request broke off or is not HTTP.");
    public static readonly ProblemKind ChaosOff = new("chaos-off", 403, "Breaking things is not allowed here",
        "Set Chaos:Token for a run in Development, and send it in the header X-Chaos-Token.");
    public static readonly ProblemKind UnknownPattern = new("unknown-pattern", 404, "There is no such pattern",
        "GET /api/patterns lists the patterns and their endpoints.");
    public static readonly ProblemKind UnknownVariant = new("unknown-variant", 404, "There is no such variant",
        "Every pattern has the variants channel and distributed.");
    public static readonly ProblemKind UnknownRoute = new("unknown-route", 404, "There is nothing at this address",
        "GET /api/patterns lists the endpoints, /scalar describes them.");
    public static readonly ProblemKind RunNotFound = new("run-not-found", 404, "There is no such run",
        "A run can be found while it is open and for some time after it has ended.");
    public static readonly ProblemKind JobNotFound = new("job-not-found", 404, "There is no such job",
        "A job can be found while it is open and for some time after it has ended.");
    public static readonly ProblemKind ItemNotFound = new("item-not-found", 404, "There is no such item",
        "An item can be found while it is in the queue and for some time after it has ended.");
    public static readonly ProblemKind ChildNotFound = new("child-not-found", 404, "There is no such child",
        "The detail lists the children of the supervisor.");
    public static readonly ProblemKind KeyNotFound = new("key-not-found", 404, "The key has no state",
        "POST events to the key; it has a state once the first of them has had its turn.");
    public static readonly ProblemKind Elsewhere = new("elsewhere", 404, "This belongs to another gateway",
        "A run or a job of a channel variant lives and dies with the gateway that its id begins with, and that one is not alive.");
    public static readonly ProblemKind MethodNotAllowed = new("method-not-allowed", 405, "The address does not take this method",
        "The header Allow lists the methods that it takes.");
    public static readonly ProblemKind RequestTooSlow = new("request-too-slow", 408, "The body came too slowly",
        "Send at least 240 bytes a second.");
    public static readonly ProblemKind RunEnded = new("run-ended", 409, "The run has ended already",
        "Nothing to do: GET the run to read how it ended.");
    public static readonly ProblemKind JobEnded = new("job-ended", 409, "The job has ended already",
        "Nothing to do: GET the job to read how it ended.");
    public static readonly ProblemKind JobForgotten = new("job-forgotten", 410, "The job is no longer kept",
        "It ended longer ago than outcomes are kept. Read outcomes sooner, or raise KeepEndedFor.");
    public static readonly ProblemKind StaleToken = new("stale-token", 409, "The token holds nothing any more",
        "Throw the result away: another consumer has the item, or had it. Extend in time, or ask for a longer lease.");
    public static readonly ProblemKind ChildNotRunning = new("child-not-running", 409, "The child does not run at present",
        "GET the tree to read how far it is, and try again once it runs.");
    public static readonly ProblemKind Escalated = new("escalated", 409, "The supervisor has given up",
        "The detail says why. POST reset starts all children anew with a full budget.");
    public static readonly ProblemKind Fenced = new("fenced", 409, "The partition is under another epoch",
        "It has another owner by now. GET partitions to read the epoch, or post without one.");
    public static readonly ProblemKind PermitLost = new("permit-lost", 409, "The permit was lost meanwhile",
        "Try again: its process was frozen or cut off for longer than its lease. What it wrote was refused.");
    public static readonly ProblemKind BodyTooLarge = new("body-too-large", 413, "The body is too large",
        "The detail names the limit, and the setting that changes it for files.");
    public static readonly ProblemKind UnsupportedMediaType = new("unsupported-media-type", 415, "The body's type is not accepted",
        "Send application/json, text/plain or application/octet-stream.");
    public static readonly ProblemKind NotText = new("not-text", 415, "The uploaded file is not text",
        "The pipelines read lines of UTF-8. The detail says where the file stops being that.");
    public static readonly ProblemKind IdempotencyMismatch = new("idempotency-mismatch", 422, "The Idempotency-Key was used for another request",
        "Use a new key for a new request; the same key stands for the same body.");
    public static readonly ProblemKind CostExceedsBurst = new("cost-exceeds-burst", 422, "The cost is more than can ever be admitted at once",
        "Ask for less: the detail names the most. Waiting does not help.");
    public static readonly ProblemKind RateLimited = new("rate-limited", 429, "Too many requests for this limit",
        "Come back after retryAfterMs, or let the gateway wait for you with wait=.");
    public static readonly ProblemKind Cancelled = new("cancelled", 499, "The client left",
        "Nobody is there to read this answer; it is counted, not logged as an error.");
    public static readonly ProblemKind Internal = new("internal", 500, "The gateway has a bug",
        "Report it with the traceId: no request should end like this.");
    public static readonly ProblemKind RunFailed = new("run-failed", 502, "The run failed",
        "The detail names the stage and the item that failed.");
    public static readonly ProblemKind BranchFailed = new("branch-failed", 502, "A branch failed",
        "The detail names the item and its error. With errors=collect the others go on, and failures are listed.");
    public static readonly ProblemKind OperationFailed = new("operation-failed", 502, "An operation failed",
        "The detail names the operation and its error.");
    public static readonly ProblemKind FlightFailed = new("flight-failed", 502, "The run that was shared failed",
        "The detail has its error. It is not kept: the next request starts another run.");
    public static readonly ProblemKind OwnerUnreachable = new("owner-unreachable", 502, "The gateway that owns it did not answer",
        "Try again: either it answers, or it is found to be gone and the answer is elsewhere.");
    public static readonly ProblemKind Full = new("full", 503, "No room for more work",
        "Wait as long as Retry-After says. The detail names the limit and the setting that raises it.");
    public static readonly ProblemKind Draining = new("draining", 503, "Nothing is taken on at present",
        "Wait as long as Retry-After says: the pool is being drained, and is resumed or replaced afterwards.");
    public static readonly ProblemKind NoWorker = new("no-worker", 503, "Nobody is there to do the work",
        "Wait as long as Retry-After says. The channel variants need no worker and go on.");
    public static readonly ProblemKind OperationUnavailable = new("operation-unavailable", 503, "An operation is not available at present",
        "Wait as long as Retry-After says, or let the gateway try again inside the budget with attempts=.");
    public static readonly ProblemKind PoolExhausted = new("pool-exhausted", 503, "No resource of the pool came free in time",
        "Wait as long as Retry-After says. The detail has the pool's counts, and the setting that raises its limit.");
    public static readonly ProblemKind TooManyWatchers = new("too-many-watchers", 503, "Too many event streams are open",
        "Wait as long as Retry-After says. The detail says what to do without a stream.");
    public static readonly ProblemKind BrokerUnavailable = new("broker-unavailable", 503, "Redis, or a service behind it, cannot be reached",
        "Wait as long as Retry-After says. The channel variants need no Redis and go on.");
    public static readonly ProblemKind DeadlineExceeded = new("deadline-exceeded", 504, "The time limit ran out before the work was done",
        "Ask for less or allow more time.");

    public static IReadOnlyList<ProblemKind> All { get; } =
    [
        InvalidParameter, MalformedBody, EmptyBody, UnknownPipeline, InvalidInput, UnknownJob, InvalidJobInput, InvalidItems, InvalidEvents, UnknownInput, NoResult,
        BadRequest, ChaosOff, UnknownPattern, UnknownVariant, UnknownRoute, RunNotFound, JobNotFound, ItemNotFound, ChildNotFound, KeyNotFound, Elsewhere,
        MethodNotAllowed, RequestTooSlow, RunEnded, JobEnded, JobForgotten, StaleToken, ChildNotRunning, Escalated, Fenced, PermitLost, BodyTooLarge,
        UnsupportedMediaType, NotText, IdempotencyMismatch, CostExceedsBurst, RateLimited, Cancelled, Internal, RunFailed, BranchFailed, OperationFailed, FlightFailed,
        OwnerUnreachable, Full, Draining, NoWorker, OperationUnavailable, PoolExhausted, TooManyWatchers, BrokerUnavailable, DeadlineExceeded,
    ];
}
