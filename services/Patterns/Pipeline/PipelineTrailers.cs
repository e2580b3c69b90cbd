using System.Globalization;
using System.Text;
using Grpc.Core;

namespace DistributedPatterns.Pipeline;

/// <summary>What a gRPC status cannot say: which stage failed at which item, or that the sink behind a worker is lost.</summary>
internal static class PipelineTrailers
{
    private const string Stage = "pipeline-stage-bin"; // -bin: a name may hold any text, a plain trailer ASCII only
    private const string Reason = "pipeline-reason-bin";
    private const string Number = "pipeline-item";
    private const string Lost = "pipeline-sink-lost";

    public static RpcException ToRpc(this PipelineStageException error)
    {
        var trailers = new Metadata { { Stage, Encoding.UTF8.GetBytes(error.Stage) }, { Reason, Encoding.UTF8.GetBytes(Shorten(error.Reason)) } };
        if (error.Number is { } number) trailers.Add(Number, number.ToString(CultureInfo.InvariantCulture));
        return new RpcException(new Status(StatusCode.Internal, $"Stage '{error.Stage}' failed."), trailers);
    }

    public static RpcException SinkLost(string why) =>
        new(new Status(StatusCode.Unavailable, why), new Metadata { { Lost, "1" } });

    public static bool IsSinkLost(this RpcException error) => error.Trailers.Get(Lost) is not null;

    public static PipelineStageException? ToStageException(this RpcException error)
    {
        if (error.Trailers.GetValueBytes(Stage) is not { } stage) return null;
        var reason = Encoding.UTF8.GetString(error.Trailers.GetValueBytes(Reason) ?? []);
        var number = long.TryParse(error.Trailers.GetValue(Number), CultureInfo.InvariantCulture, out var value) ? value : (long?)null;
        return new PipelineStageException(Encoding.UTF8.GetString(stage), number, reason, error);
    }

    // Headers are limited to some 8 KiB in all.
    private static string Shorten(string text) => text.Length <= 1000 ? text : text[..1000] + "…";
}
