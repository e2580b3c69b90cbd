using System.Security.Cryptography;
using System.Text;
using Aspire.Hosting.Dashboard.Telemetry.Protocol;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Grpc.AspNetCore.Server.Model;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Logging;
using Status = Grpc.Core.Status;

namespace Aspire.Hosting.Dashboard.Telemetry;

/// <summary>Receives telemetry over OTLP/gRPC: the three Export methods.</summary>
/// <remarks>
/// Without the key in <see cref="KeyHeader"/> a caller is told UNAUTHENTICATED before anything of his message is read. What
/// cannot be read is INVALID_ARGUMENT, what is beyond <see cref="MaxMessageBytes"/> RESOURCE_EXHAUSTED; exporters repeat neither.
/// </remarks>
internal sealed partial class OtlpReceiver(TelemetryStore store, ILogger<OtlpReceiver> logger)
{
    public const string KeyHeader = "x-otlp-api-key";
    public const int MaxMessageBytes = 4 * 1024 * 1024;

    /// <summary>Lets only callers with the key pass.</summary>
    public static void RequireKey(EndpointBuilder endpoint, string key)
    {
        var receive = endpoint.RequestDelegate!;
        endpoint.RequestDelegate = context =>
        {
            if (IsKey(context.Request.Headers[KeyHeader], key)) return receive(context);
            context.Response.ContentType = "application/grpc";
            context.Response.Headers["grpc-status"] = ((int)StatusCode.Unauthenticated).ToString(System.Globalization.CultureInfo.InvariantCulture);
            context.Response.Headers["grpc-message"] = $"The header {KeyHeader} is missing or wrong.";
            return Task.CompletedTask;
        };
    }

    /// <summary>Compares in a time that says nothing about the key.</summary>
    public static bool IsKey(string? given, string key) =>
        CryptographicOperations.FixedTimeEquals(SHA256.HashData(Encoding.UTF8.GetBytes(given ?? "")), SHA256.HashData(Encoding.UTF8.GetBytes(key)));

    private Task<ExportResponse> Export<TRequest>(TRequest request, Func<TelemetryStore, TRequest, long> add)
    {
        try
        {
            var refused = add(store, request);
            return Task.FromResult(refused == 0 ? new ExportResponse() : new()
            {
                PartialSuccess = new() { Rejected = refused, ErrorMessage = "They have no valid ids, are of a kind that is not known, or are beyond what is kept." },
            });
        }
        catch (Exception error)
        {
            LogFailed(error);
            throw new RpcException(new Status(StatusCode.Internal, "It could not be stored."));
        }
    }

    [LoggerMessage(LogLevel.Error, "Telemetry could not be stored")]
    private partial void LogFailed(Exception error);

    /// <summary>Binds the methods with a reader of their own: with the generated one, what cannot be read would be an error of this server.</summary>
    public sealed class Methods : IServiceMethodProvider<OtlpReceiver>
    {
        public void OnServiceMethodDiscovery(ServiceMethodProviderContext<OtlpReceiver> context)
        {
            Add(context, LogsReflection.Descriptor, ExportLogsServiceRequest.Parser, (store, request) => store.Add(request));
            Add(context, TraceReflection.Descriptor, ExportTraceServiceRequest.Parser, (store, request) => store.Add(request));
            Add(context, MetricsReflection.Descriptor, ExportMetricsServiceRequest.Parser, (store, request) => store.Add(request));
        }

        private static void Add<TRequest>(
            ServiceMethodProviderContext<OtlpReceiver> context, FileDescriptor file, MessageParser<TRequest> parser, Func<TelemetryStore, TRequest, long> add)
            where TRequest : class, IMessage<TRequest>
        {
            var method = new Method<TRequest, ExportResponse>(
                MethodType.Unary, file.Services[0].FullName, file.Services[0].Methods[0].Name,
                Marshallers.Create((_, _) => throw new NotSupportedException(), message => Read(parser, message)),
                Marshallers.Create((response, message) => message.Complete(response.ToByteArray()), _ => new ExportResponse()));
            context.AddUnaryMethod(method, [], (receiver, request, _) => receiver.Export(request, add));
        }

        private static T Read<T>(MessageParser<T> parser, DeserializationContext message) where T : IMessage<T>
        {
            try
            {
                return parser.ParseFrom(message.PayloadAsReadOnlySequence());
            }
            catch (InvalidProtocolBufferException e)
            {
                throw new RpcException(new Status(StatusCode.InvalidArgument, e.Message));
            }
        }
    }
}
