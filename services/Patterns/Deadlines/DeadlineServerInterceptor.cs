using System.Globalization;
using Grpc.Core;
using Grpc.Core.Interceptors;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Deadlines;

/// <summary>Makes the deadline of a gRPC call the <see cref="AmbientDeadline"/> of its handler. A call whose deadline has passed does not reach the handler.</summary>
/// <remarks>The handler gets a little less than the caller has (<see cref="DeadlineOptions.Reserve"/>), so that it is the one who notices, and its answer says why.</remarks>
public sealed class DeadlineServerInterceptor(IOptions<DeadlineOptions> options, TimeProvider time) : Interceptor
{
    internal const string BegunTrailer = "operation-begun";

    private const long MostMicroseconds = 1_000_000_000_000; // 11 days in microseconds

    private readonly TimeSpan _reserve = options.Value.Reserve;

    public override async Task<TResponse> UnaryServerHandler<TRequest, TResponse>(
        TRequest request, ServerCallContext context, UnaryServerMethod<TRequest, TResponse> continuation)
    {
        Enter(context);
        return await continuation(request, context).ConfigureAwait(false);
    }

    public override async Task<TResponse> ClientStreamingServerHandler<TRequest, TResponse>(
        IAsyncStreamReader<TRequest> requestStream, ServerCallContext context, ClientStreamingServerMethod<TRequest, TResponse> continuation)
    {
        Enter(context);
        return await continuation(requestStream, context).ConfigureAwait(false);
    }

    public override async Task ServerStreamingServerHandler<TRequest, TResponse>(
        TRequest request, IServerStreamWriter<TResponse> responseStream, ServerCallContext context, ServerStreamingServerMethod<TRequest, TResponse> continuation)
    {
        Enter(context);
        await continuation(request, responseStream, context).ConfigureAwait(false);
    }

    public override async Task DuplexStreamingServerHandler<TRequest, TResponse>(
        IAsyncStreamReader<TRequest> requestStream, IServerStreamWriter<TResponse> responseStream, ServerCallContext context,
        DuplexStreamingServerMethod<TRequest, TResponse> continuation)
    {
        Enter(context);
        await continuation(requestStream, responseStream, context).ConfigureAwait(false);
    }

    internal static RpcException NotBegun(string detail) => new(new Status(StatusCode.DeadlineExceeded, detail), new Metadata { { BegunTrailer, "no" } });

    // What is set here holds until the handler's task ends: each handler above is an async method of its own.
    private void Enter(ServerCallContext context)
    {
        var attempt = (int)Math.Clamp(Read(context, DeadlineClientInterceptor.AttemptHeader) ?? 1, 1, 10);
        var exactly = Read(context, DeadlineClientInterceptor.BudgetHeader) is { } microseconds && microseconds < MostMicroseconds ? TimeSpan.FromMicroseconds(microseconds) : TimeSpan.MaxValue;
        var left = context.Deadline == DateTime.MaxValue ? TimeSpan.MaxValue : context.Deadline - time.GetUtcNow().UtcDateTime;
        if (exactly < left) left = exactly;
        if (left == TimeSpan.MaxValue)
        {
            AmbientDeadline.Enter(Deadline.None, attempt);
            return;
        }
        if (left <= TimeSpan.Zero) throw NotBegun("The deadline had passed when the call came.");
        AmbientDeadline.Enter(Deadline.After(left - (_reserve < left / 10 ? _reserve : left / 10), time), attempt);
    }

    private static long? Read(ServerCallContext context, string header) =>
        long.TryParse(context.RequestHeaders.GetValue(header), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;
}
