using System.ComponentModel.DataAnnotations;

namespace DistributedPatterns.Gateway;

/// <summary>Limits of the gateway. Settings: <c>Gateway</c>.</summary>
public sealed class GatewayOptions
{
    /// <summary>Gets or sets how large an uploaded file may be, in bytes.</summary>
    /// <value>From 1 KiB to 16 GiB; 64 MiB unless set.</value>
    [Range(1L << 10, 1L << 34)]
    public long MaxUploadBytes { get; set; } = 64L << 20;

    /// <summary>Gets or sets how large a file that is put among the inputs may be, in bytes.</summary>
    /// <value>From 1 KiB to 16 GiB; 2 GiB unless set.</value>
    [Range(1L << 10, 1L << 34)]
    public long MaxInputBytes { get; set; } = 2L << 30;

    /// <summary>Gets or sets how much all files that were put among the inputs may have together, in bytes.</summary>
    /// <value>From 1 KiB to 1 TiB; 8 GiB unless set.</value>
    [Range(1L << 10, 1L << 40)]
    public long MaxInputsBytes { get; set; } = 8L << 30;

    /// <summary>Gets or sets how many uploads may be under way at the same time.</summary>
    /// <value>From 1 to 1,024; 16 unless set.</value>
    [Range(1, 1_024)]
    public int MaxUploads { get; set; } = 16;

    /// <summary>Gets or sets how old an upload may grow that no run of this gateway reads: it belonged to a gateway that died.</summary>
    /// <value>From 1 minute to 7 days; 1 hour unless set.</value>
    [Range(typeof(TimeSpan), "00:01:00", "7.00:00:00")]
    public TimeSpan UploadRetention { get; set; } = TimeSpan.FromHours(1);

    /// <summary>Gets or sets how many event streams may be watched at the same time.</summary>
    /// <value>From 1 to 10,000; 64 unless set.</value>
    [Range(1, 10_000)]
    public int MaxWatchers { get; set; } = 64;

    /// <summary>Gets or sets how long a request waits for Redis to answer before it is refused as unavailable.</summary>
    /// <value>From 100 milliseconds to 1 minute; 5 seconds unless set.</value>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:01:00")]
    public TimeSpan BrokerTimeout { get; set; } = TimeSpan.FromSeconds(5);
}
