using DistributedPatterns.Gateway.Patterns;
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
            // The read may know of the reset before Kestrel does. Told so, it does not try to read the rest of the body, which it
            // cannot after a read that threw, and which it logs as an error (https://github.com/dotnet/aspnetcore/issues/17840).
            httpContext.Abort();
            return true;
        }

        var problem = Describe(exception);
        var kind = problem.Kind;
        if (kind.Status == StatusCodes.Status500InternalServerError) LogBug(logger, httpContext.Request.Method, httpContext.Request.Path, exception);
        // Nobody reads the rest of a body that was refused, so the connection cannot serve another request.
        if (kind == ProblemKind.BodyTooLarge || kind == ProblemKind.NotText) httpContext.Response.Headers.Connection = "close";
        await ProblemResponse.WriteAsync(httpContext, problem);
        return true;
    }

    private static Problem Describe(Exception exception) => exception switch
    {
        ProblemException problem => problem.Problem,
        BadHttpRequestException { StatusCode: StatusCodes.Status413PayloadTooLarge } => new(ProblemKind.BodyTooLarge, exception.Message),
        BadHttpRequestException { StatusCode: StatusCodes.Status408RequestTimeout } => new(ProblemKind.RequestTooSlow, exception.Message),
        BadHttpRequestException => new(ProblemKind.BadRequest, exception.Message),
        RedisException or RedisTimeoutException => new(ProblemKind.BrokerUnavailable, "Redis cannot be reached or does not answer."),
        RpcException rpc => Describe(rpc),
        _ => GatewayPatterns.All.Select(pattern => pattern.Describe(exception)).FirstOrDefault(problem => problem is not null)
            ?? (exception is OperationCanceledException
                ? new(ProblemKind.DeadlineExceeded, "The time limit ran out before the work was done.")
                : new(ProblemKind.Internal, "The gateway failed. Its log has the reason under this traceId.")),
    };

    private static Problem Describe(RpcException rpc) => rpc.StatusCode switch
    {
        StatusCode.ResourceExhausted => new(ProblemKind.Full, rpc.Status.Detail),
        StatusCode.DeadlineExceeded or StatusCode.Cancelled => new(ProblemKind.DeadlineExceeded, rpc.Status.Detail),
        StatusCode.Unavailable => new(ProblemKind.BrokerUnavailable, $"A service cannot be reached: {rpc.Status.Detail}"),
        StatusCode.Aborted or StatusCode.FailedPrecondition => new(ProblemKind.RunEnded, rpc.Status.Detail),
        StatusCode.InvalidArgument => new(ProblemKind.InvalidInput, rpc.Status.Detail),
        StatusCode.NotFound => new(ProblemKind.RunNotFound, rpc.Status.Detail),
        _ => new(ProblemKind.RunFailed, rpc.Status.Detail),
    };

    [LoggerMessage(LogLevel.Error, "{Method} {Path} failed")]
    private static partial void LogBug(ILogger logger, string method, string path, Exception exception);
}
