using System.Text.Json.Serialization;
using DistributedPatterns.Supervision;

namespace DistributedPatterns.PatternCli.Supervision;

/// <summary>Supervised children, wherever they are.</summary>
internal interface ISupervised : IAsyncDisposable
{
    /// <summary>Gets where they run, for people.</summary>
    string Where { get; }

    Task<SupervisionTree> ReadAsync();

    /// <returns>Whether the child ran, so that it gets the signal.</returns>
    Task<bool> SignalAsync(string child, ChildSignal signal);

    /// <summary>Fills the budget, and starts all anew if they were given up.</summary>
    Task ResetAsync();
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(SupervisionTree))]
internal sealed partial class SupervisionCliJson : JsonSerializerContext;
