using System.Globalization;
using Grpc.Core;
using Grpc.Core.Interceptors;

namespace DistributedPatterns.Deadlines;

/// <summary>Lets every call go on under <see cref="AmbientDeadline"/>: it gives the call what is left of the budget, unless the call has less.</summary>
/// <remarks>
/// The budget goes along twice: as gRPC's own deadline, which every gRPC peer keeps, and to the microsecond in the metadata.
/// gRPC may round its deadline up: what was 29,993 ms arrived as 30 s, at every hop again.
/// </remarks>
/// <param name="time">gRPC takes a time of day and sends what is left until then, both within this process: no other clock has to agree.</param>
public sealed class DeadlineClientInterceptor(TimeProvider time) : Interceptor
{
    internal const string AttemptHeader = "operation-attempt";
    internal const string BudgetHeader = "operation-budget-us";

    public override AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(
        TRequest request, ClientInterceptorContext<TRequest, TResponse> context, AsyncUnaryCallContinuation<TRequest, TResponse> continuation) =>
        continuation(request, Within(context));

    public override AsyncServerStreamingCall<TResponse> AsyncServerStreamingCall<TRequest, TResponse>(
        TRequest request, ClientInterceptorContext<TRequest, TResponse> context, AsyncServerStreamingCallContinuation<TRequest, TResponse> continuation) =>
        continuation(request, Within(context));

    public override AsyncClientStreamingCall<TRequest, TResponse> AsyncClientStreamingCall<TRequest, TResponse>(
        ClientInterceptorContext<TRequest, TResponse> context, AsyncClientStreamingCallContinuation<TRequest, TResponse> continuation) =>
        continuation(Within(context));

    public override AsyncDuplexStreamingCall<TRequest, TResponse> AsyncDuplexStreamingCall<TRequest, TResponse>(
        ClientInterceptorContext<TRequest, TResponse> context, AsyncDuplexStreamingCallContinuation<TRequest, TResponse> continuation) =>
        continuation(Within(context));

    private ClientInterceptorContext<TRequest, TResponse> Within<TRequest, TResponse>(ClientInterceptorContext<TRequest, TResponse> context)
        where TRequest : class where TResponse : class
    {
        var options = context.Options;
        var headers = new Metadata();
        foreach (var entry in options.Headers ?? []) headers.Add(entry); // the caller's may be shared by calls
        if (AmbientDeadline.Current is { IsNone: false } deadline)
        {
            var left = deadline.Remaining;
            var until = time.GetUtcNow().UtcDateTime + left;
            if (options.Deadline is not { } own || own > until) options = options.WithDeadline(until);
            headers.Add(BudgetHeader, ((long)left.TotalMicroseconds).ToString(CultureInfo.InvariantCulture));
        }
        if (AmbientDeadline.Attempt > 1) headers.Add(AttemptHeader, AmbientDeadline.Attempt.ToString(CultureInfo.InvariantCulture));
        options = options.WithHeaders(headers);
        return new ClientInterceptorContext<TRequest, TResponse>(context.Method, context.Host, options);
    }
}
