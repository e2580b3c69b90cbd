namespace Aspire.StackExchange.Redis;

/// <summary>Settings of a Redis client, as Aspire's component names them.</summary>
public sealed class StackExchangeRedisSettings
{
    /// <summary>Gets or sets where Redis is, in the client's own format: <c>host:port,password=…</c>.</summary>
    public string? ConnectionString { get; set; }

    /// <summary>Gets or sets whether the health check <c>StackExchange.Redis</c> is left out.</summary>
    public bool DisableHealthChecks { get; set; }

    /// <summary>Gets or sets whether commands leave no spans.</summary>
    public bool DisableTracing { get; set; }
}
