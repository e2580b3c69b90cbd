using System.Security.Cryptography;
using DistributedPatterns.Members;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Makes this process one of the members, or an onlooker.</summary>
public static class MembersServiceCollectionExtensions
{
    private const string Letters = "abcdefghijklmnopqrstuvwxyz";

    /// <summary>Adds <see cref="IMembers"/> and <see cref="IMemberChannels"/>; needs a registered <c>IConnectionMultiplexer</c>.</summary>
    /// <param name="services">The service's registrations.</param>
    /// <param name="configure">Changes what section <c>Members</c> and the OTEL variables gave, for example <c>Announce = false</c> to look on.</param>
    public static IServiceCollection AddMembers(this IServiceCollection services, Action<MembersOptions>? configure = null)
    {
        services.AddOptions<MembersOptions>()
            .BindConfiguration("Members")
            .Configure(configure ?? (static _ => { }))
            .PostConfigure<IConfiguration, IHostEnvironment>(Name)
            .ValidateOnStart();
        services.TryAddSingleton<IValidateOptions<MembersOptions>, MembersOptionsValidator>();
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<BoundAddresses>();
        services.TryAddSingleton<RedisMembers>();
        services.TryAddSingleton<IMembers>(provider => provider.GetRequiredService<RedisMembers>());
        services.TryAddSingleton<IMemberChannels, MemberChannels>();
        return services.AddHostedService(provider => provider.GetRequiredService<RedisMembers>());
    }

    private static void Name(MembersOptions options, IConfiguration configuration, IHostEnvironment environment)
    {
        if (options.Role.Length == 0)
            options.Role = configuration["OTEL_SERVICE_NAME"] is { Length: > 0 } service ? service : environment.ApplicationName;
        if (options.Id.Length > 0)
            return;
        const string Attribute = "service.instance.id=";
        var instance = (configuration["OTEL_RESOURCE_ATTRIBUTES"] ?? "")
            .Split(',', StringSplitOptions.TrimEntries)
            .FirstOrDefault(pair => pair.StartsWith(Attribute, StringComparison.Ordinal))?[Attribute.Length..];
        options.Id = $"{options.Role}-{(string.IsNullOrEmpty(instance) ? RandomNumberGenerator.GetString(Letters, 8) : instance)}";
    }
}
