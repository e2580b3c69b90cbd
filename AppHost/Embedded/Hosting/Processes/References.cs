using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting.Processes;

/// <summary>What a reference adds to the environment, by Aspire's names.</summary>
internal static class References
{
    public static async ValueTask AddConnectionAsync(
        IDictionary<string, string> environment, IResourceWithConnectionString source, CancellationToken cancellationToken)
    {
        environment[$"ConnectionStrings__{source.Name}"] = await source.GetValueAsync(cancellationToken) ?? "";
        if (source is RedisResource redis)
        {
            var prefix = Encode(redis.Name);
            environment[$"{prefix}_HOST"] = await Text(redis.PrimaryEndpoint.Property(EndpointProperty.Host));
            environment[$"{prefix}_PORT"] = await Text(redis.PrimaryEndpoint.Property(EndpointProperty.Port));
            environment[$"{prefix}_PASSWORD"] = await Text(redis.PasswordParameter);
            environment[$"{prefix}_URI"] = await Text(redis.UriExpression);
        }

        async ValueTask<string> Text(IValueProvider value) => await value.GetValueAsync(cancellationToken) ?? "";
    }

    public static ValueTask AddEndpoints(IDictionary<string, string> environment, Resource source)
    {
        foreach (var endpoint in source.Endpoints)
        {
            var url = new EndpointReference(source, endpoint.Name).Url;
            environment[$"{Encode(source.Name)}_{Encode(endpoint.Name)}"] = url;
            environment[$"services__{source.Name}__{endpoint.Name}__0"] = url;
        }

        return ValueTask.CompletedTask;
    }

    private static string Encode(string name) =>
        string.Concat(name.Select(c => char.IsAsciiLetterOrDigit(c) ? char.ToUpperInvariant(c) : '_'));
}
