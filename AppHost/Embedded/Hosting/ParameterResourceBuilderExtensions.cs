using System.Security.Cryptography;
using Aspire.Hosting.ApplicationModel;
using Microsoft.Extensions.Configuration;

namespace Aspire.Hosting.ApplicationModel
{
    /// <summary>A random value of letters and digits.</summary>
    public sealed class GenerateParameterDefault
    {
        private const string LettersAndDigits = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ0123456789";

        public int MinLength { get; set; } = 22;

        /// <summary>Gets or sets whether specials occur. This host's values have none either way, so that they fit any connection string.</summary>
        public bool Special { get; set; } = true;

        internal string Generate() => RandomNumberGenerator.GetString(LettersAndDigits, MinLength);
    }
}

namespace Aspire.Hosting
{
    public static class ParameterResourceBuilderExtensions
    {
        /// <summary>Adds a parameter from <c>Parameters:{name}</c>, or else a generated one, which this host never persists.</summary>
        public static IResourceBuilder<ParameterResource> AddParameter(
            this IDistributedApplicationBuilder builder, string name, GenerateParameterDefault value, bool secret = false, bool persist = false) =>
            builder.AddResource(new ParameterResource(name, builder.Configuration[$"Parameters:{name}"] ?? value.Generate(), secret));

        public static IResourceBuilder<IResourceWithConnectionString> AddConnectionString(
            this IDistributedApplicationBuilder builder, string name, ReferenceExpression connectionStringExpression) =>
            builder.AddResource(new ConnectionStringResource(name, connectionStringExpression));

        /// <summary>Adds a connection string from configuration.</summary>
        public static IResourceBuilder<IResourceWithConnectionString> AddConnectionString(this IDistributedApplicationBuilder builder, string name) =>
            builder.AddConnectionString(name, ReferenceExpression.Literal(builder.Configuration.GetConnectionString(name)
                ?? throw new DistributedApplicationException($"Connection string '{name}' is missing. Set ConnectionStrings:{name}.")));
    }

    public static class RedisBuilderExtensions
    {
        public static IResourceBuilder<RedisResource> AddRedis(this IDistributedApplicationBuilder builder, string name)
        {
            var password = builder.AddParameter($"{name}-password", new GenerateParameterDefault { Special = false }, secret: true);
            var redis = builder.AddResource(new RedisResource(name, password.Resource));
            redis.Resource.HealthChecks.Add(new($"{name}_check", "tcp"));
            return redis.WithEndpoint(scheme: "tcp", name: "tcp");
        }
    }
}
