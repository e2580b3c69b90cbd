using System.ComponentModel.DataAnnotations;
using DistributedPatterns.Gateway.Problems;
using DistributedPatterns.RateLimiting;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Gateway.RateLimiting;

/// <summary>The limit of each client address at the gateway's edge; section <c>Gateway:EdgeLimit</c>. Off unless set: load tests come from one address.</summary>
public sealed class EdgeLimitOptions
{
    /// <summary>Gets or sets how many requests of an address are admitted each second.</summary>
    /// <value>From 0 (no limit) to 1,000,000; 0 unless set.</value>
    [Range(0, 1_000_000)]
    public int RequestsPerSecond { get; set; }

    /// <summary>Gets or sets how many requests of an address are admitted at once.</summary>
    /// <value>From 1 to 1,000,000; 1,000 unless set.</value>
    [Range(1, 1_000_000)]
    public int Burst { get; set; } = 1_000;
}

/// <summary>ASP.NET Core's middleware over our keyed limiter, in front of everything below <c>/api</c>.</summary>
internal static class EdgeLimit
{
    public static IServiceCollection AddEdgeLimit(this IServiceCollection services)
    {
        services.AddOptions<EdgeLimitOptions>().BindConfiguration("Gateway:EdgeLimit").ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton(provider =>
        {
            var edge = provider.GetRequiredService<IOptions<EdgeLimitOptions>>().Value;
            return new LocalKeyedRateLimiter<string>(
                new BucketOptions { Permits = Math.Max(1, edge.RequestsPerSecond), Burst = edge.Burst }, provider.GetRequiredService<TimeProvider>());
        });
        services.AddRateLimiter(limiter => limiter.OnRejected = (context, _) => new(ProblemResponse.WriteAsync(
            context.HttpContext, new Problem(ProblemKind.RateLimited, "Too many requests from this address.") { RetryAfter = context.Lease.GetRetryAfter() })));
        services.AddOptions<Microsoft.AspNetCore.RateLimiting.RateLimiterOptions>().Configure<LocalKeyedRateLimiter<string>>((limiter, addresses) =>
            limiter.GlobalLimiter = addresses.WithTranslatedKey((HttpContext http) => http.Connection.RemoteIpAddress?.ToString() ?? "", leaveOpen: true));
        return services;
    }

    public static void UseEdgeLimit(this WebApplication app)
    {
        if (app.Services.GetRequiredService<IOptions<EdgeLimitOptions>>().Value.RequestsPerSecond == 0) return;
        app.UseWhen(http => http.Request.Path.StartsWithSegments("/api", StringComparison.Ordinal), api => api.UseRateLimiter());
    }
}
