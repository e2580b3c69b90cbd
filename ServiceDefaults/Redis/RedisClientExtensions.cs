using Aspire.StackExchange.Redis;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;
using ServiceDefaults.Redis;
using StackExchange.Redis;

namespace Microsoft.Extensions.Hosting;

/// <summary>Stands in for the package Aspire.StackExchange.Redis where the solution is built without Aspire: same call, same result.</summary>
public static class RedisClientExtensions
{
    private const string Section = "Aspire:StackExchange:Redis";

    /// <summary>Registers a singleton <see cref="IConnectionMultiplexer"/> with a health check and tracing.</summary>
    /// <param name="builder">The service's builder.</param>
    /// <param name="connectionName">The connection string's name; <c>ConnectionStrings:{name}</c> wins over the configuration section.</param>
    /// <param name="configureSettings">Changes the settings after configuration was read.</param>
    /// <param name="configureOptions">Changes the client's own options last.</param>
    /// <remarks>
    /// The connection is made when it is first asked for, and a server that is away then is tried again for ever
    /// (<c>AbortOnConnectFail=false</c>) instead of failing the start.
    /// </remarks>
    public static void AddRedisClient(
        this IHostApplicationBuilder builder,
        string connectionName,
        Action<StackExchangeRedisSettings>? configureSettings = null,
        Action<ConfigurationOptions>? configureOptions = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentException.ThrowIfNullOrEmpty(connectionName);

        var settings = new StackExchangeRedisSettings();
        builder.Configuration.GetSection(Section).Bind(settings);
        builder.Configuration.GetSection($"{Section}:{connectionName}").Bind(settings);
        settings.ConnectionString = builder.Configuration.GetConnectionString(connectionName) ?? settings.ConnectionString;
        configureSettings?.Invoke(settings);

        // At Information the client tells forty lines a connection, and at Error a stack trace a connection and second while
        // the server is away. People read one line about that, from members; whoever collects telemetry gets the errors too.
        builder.Logging.AddFilter("StackExchange.Redis", LogLevel.Warning);
        builder.Logging.AddFilter<ConsoleLoggerProvider>("StackExchange.Redis", LogLevel.Critical);
        builder.Services.TryAddSingleton<RedisTracing>();
        if (!settings.DisableTracing)
        {
            builder.Services.AddHostedService(services => services.GetRequiredService<RedisTracing>());
            builder.Services.AddOpenTelemetry().WithTracing(tracing => tracing.AddSource(RedisTracing.SourceName));
        }
        builder.Services.TryAddSingleton<IConnectionMultiplexer>(services =>
        {
            var connection = ConnectionMultiplexer.Connect(Options(services, connectionName, settings, configureOptions));
            if (!settings.DisableTracing)
                services.GetRequiredService<RedisTracing>().Follow(connection);
            return connection;
        });
        if (!settings.DisableHealthChecks)
            builder.Services.AddHealthChecks().AddRedis(services => services.GetRequiredService<IConnectionMultiplexer>(), "StackExchange.Redis");
    }

    private static ConfigurationOptions Options(
        IServiceProvider services, string connectionName, StackExchangeRedisSettings settings, Action<ConfigurationOptions>? configure)
    {
        var options = ConfigurationOptions.Parse(settings.ConnectionString ?? "");
        if (settings.ConnectionString?.Contains("abortConnect", StringComparison.OrdinalIgnoreCase) is not true)
            options.AbortOnConnectFail = false;
        options.LoggerFactory ??= services.GetService<ILoggerFactory>();
        configure?.Invoke(options);
        return options.EndPoints.Count > 0 ? options : throw new InvalidOperationException(
            $"No endpoints specified. Ensure a valid connection string was provided in 'ConnectionStrings:{connectionName}' or as 'ConnectionString' in section '{Section}'.");
    }
}
