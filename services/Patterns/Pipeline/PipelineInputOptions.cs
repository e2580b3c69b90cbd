using System.ComponentModel.DataAnnotations;

namespace DistributedPatterns.Pipeline;

/// <summary>Where inputs lie. Settings: <c>Data</c>.</summary>
public sealed class PipelineInputOptions
{
    /// <summary>Gets or sets the folder that all processes share; uploads go to its subfolder <c>uploads</c>.</summary>
    /// <value><c>distributed-patterns</c> in the machine's folder for temporary files unless set. With more than one machine: a shared volume.</value>
    [Required]
    public string Path { get; set; } = System.IO.Path.Combine(System.IO.Path.GetTempPath(), "distributed-patterns");

    /// <summary>Gets further inputs: their names and the paths of their files.</summary>
    /// <value>The samples alone unless set.</value>
    public IDictionary<string, string> Files { get; } = new Dictionary<string, string>(StringComparer.Ordinal);
}
