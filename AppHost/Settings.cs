using System.Globalization;
using Microsoft.Extensions.Configuration;

namespace DistributedPatterns;

/// <summary>What a person may choose for a run: <c>dotnet run --project AppHost -- --Worker:Replicas=5</c>.</summary>
/// <param name="GatewayPort">The gateway's public port, 0 for any free one; 5080 unless set.</param>
/// <param name="GatewayReplicas">Gateways, 1 to 16; 1 unless set.</param>
/// <param name="ProducerReplicas">Producers, 1 to 16; 1 unless set.</param>
/// <param name="WorkerReplicas">Workers, 1 to 16; 3 unless set.</param>
/// <param name="ReducerReplicas">Reducers, 1 to 16; 2 unless set.</param>
/// <param name="Redis">The embedded server unless set; <c>container</c>, or a connection string.</param>
/// <param name="PersistRedis">Whether the embedded server keeps its data over runs; not unless set.</param>
/// <param name="ChaosToken">What a request has to have with it that breaks something on purpose, in Development; all of them are refused unless set.</param>
internal sealed record Settings(
    int GatewayPort, int GatewayReplicas, int ProducerReplicas, int WorkerReplicas, int ReducerReplicas, string? Redis, bool PersistRedis, string? ChaosToken)
{
    private const int MaxReplicas = 16;

    /// <summary>Reads the settings, or says which of them is wrong and what it can be.</summary>
    public static string? TryRead(IConfiguration configuration, out Settings settings)
    {
        string? mistake = null;
        settings = new(
            Number("Gateway:Port", 5080, 0, 65_535),
            Number("Gateway:Replicas", 1, 1, MaxReplicas),
            Number("Producer:Replicas", 1, 1, MaxReplicas),
            Number("Worker:Replicas", 3, 1, MaxReplicas),
            Number("Reducer:Replicas", 2, 1, MaxReplicas),
            configuration["Redis"] is { Length: > 0 } redis ? redis : null,
            Flag("Redis:Persist"),
            configuration["Chaos:Token"] is { Length: > 0 } token ? token : null);
        return mistake;

        int Number(string key, int unless, int least, int most)
        {
            var text = configuration[key];
            if (string.IsNullOrEmpty(text))
            {
                return unless;
            }

            if (int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) && number >= least && number <= most)
            {
                return number;
            }

            mistake ??= $"{key} is '{text}'; it can be a whole number from {least} to {most}. Without it, {unless} is used.";
            return unless;
        }

        bool Flag(string key)
        {
            var text = configuration[key];
            if (!string.IsNullOrEmpty(text) && !bool.TryParse(text, out _))
            {
                mistake ??= $"{key} is '{text}'; it can be true or false. Without it, false is used.";
            }

            return bool.TryParse(text, out var flag) && flag;
        }
    }
}

internal static class Refusal
{
    /// <summary>Says on standard error why nothing was started.</summary>
    /// <returns>The exit code.</returns>
    public static int Print(string reason)
    {
        Console.Error.WriteLine(reason);
        return 1;
    }
}
