using DistributedPatterns.Pipeline;
using Grpc.Core;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Diagnostics;
using StackExchange.Redis;

namespace DistributedPatterns.Gateway.Problems;

/// <summary>Says which problem an exception is. What it does not know is a bug: 500, logged.</summary>
internal sealed partial class GatewayExceptionHandler(ILogger<GatewayExceptionHandler> logger) : IExceptionHandler
{
    public async ValueTask<bool> TryHandleAsync(HttpContext httpContext, Exception exception, CancellationToken cancellationToken)
    {
        // A cut connection may fail the read of a body before it is known as an abort.
        if (httpContext.RequestAborted.IsCancellationRequested || exception is ConnectionResetException)
        {
            httpContext.Response.StatusCode = StatusCodes.Status499ClientClosedRequest;
            return true;
        }

        var (kind, detail) = Describe(exception);
        if (kind.Status == StatusCodes.Status500InternalServerError) LogBug(logger, httpContext.Request.Method, httpContext.Request.Path, exception);
        // Nobody reads the rest of a body that was refused, so the connection cannot serve another request.
        if (kind == ProblemKind.BodyTooLarge || kind == ProblemKind.NotText) httpContext.Response.Headers.Connection = "close";
        await ProblemResponse.WriteAsync(httpContext, kind, detail);
        return true;
    }

    private static (ProblemKind Kind, string Detail) Describe(Exception exception) => exception switch
    {
        ProblemException problem => (problem.Kind, problem.Message),
        UnknownPipelineException => (ProblemKind.UnknownPipeline, exception.Message),
        PipelineInputException => (ProblemKind.InvalidInput, exception.Message),
        PipelineFullException => (ProblemKind.Full, exception.Message),
        PipelineException => (ProblemKind.RunFailed, exception.Message),
        BadHttpRequestException { StatusCode: StatusCodes.Status413PayloadTooLarge } => (ProblemKind.BodyTooLarge, exception.Message),
        BadHttpRequestException { StatusCode: StatusCodes.Status408RequestTimeout } => (ProblemKind.RequestTooSlow, exception.Message),
        BadHttpRequestException => (ProblemKind.BadRequest, exception.Message),
        RedisException or RedisTimeoutException => (ProblemKind.BrokerUnavailable, "Redis cannot be reached or does not answer."),
        RpcException rpc => Describe(rpc),
        OperationCanceledException => (ProblemKind.DeadlineExceeded, "The time limit ran out before the work was done."),
        _ => (ProblemKind.Internal, "The gateway failed. Its log has the reason under this traceId."),
    };

    private static (ProblemKind Kind, string Detail) Describe(RpcException rpc) => rpc.StatusCode switch
    {
        StatusCode.ResourceExhausted => (ProblemKind.Full, rpc.Status.Detail),
        StatusCode.DeadlineExceeded or StatusCode.Cancelled => (ProblemKind.DeadlineExceeded, rpc.Status.Detail),
        StatusCode.Unavailable => (ProblemKind.BrokerUnavailable, $"A service cannot be reached: {rpc.Status.Detail}"),
        StatusCode.Aborted or StatusCode.FailedPrecondition => (ProblemKind.RunEnded, rpc.Status.Detail),
        StatusCode.InvalidArgument => (ProblemKind.InvalidInput, rpc.Status.Detail),
        StatusCode.NotFound => (ProblemKind.RunNotFound, rpc.Status.Detail),
        _ => (ProblemKind.RunFailed, rpc.Status.Detail),
    };

    [LoggerMessage(LogLevel.Error, "{Method} {Path} failed")]
    private static partial void LogBug(ILogger logger, string method, string path, Exception exception);
}
