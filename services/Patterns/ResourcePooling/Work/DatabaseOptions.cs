using System.ComponentModel.DataAnnotations;

namespace DistributedPatterns.ResourcePooling.Work;

/// <summary>Which database the pooled connections go to. Settings: <c>Patterns:ResourcePooling:Storage</c>.</summary>
public sealed class DatabaseOptions
{
    /// <summary>Gets or sets the connection string of a PostgreSQL.</summary>
    /// <value><c>ConnectionStrings:pool-database</c> unless set; a SQLite file where there is neither.</value>
    public string? PostgreSql { get; set; }

    /// <summary>Gets or sets the SQLite file. All processes on one machine may have the same, for fences are only as good as the place they share.</summary>
    /// <value><c>resource-pooling.db</c> in the data folder (<c>Data:Path</c>) unless set.</value>
    [Required]
    public string SqliteFile { get; set; } = Path.Combine(Path.GetTempPath(), "distributed-patterns", "resource-pooling.db");
}
