using System.Reflection;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using DistributedPatterns.Gateway;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Tests;

/// <summary>The reference of settings in docs/operations.md says what the options' comments say, of all that is bound to configuration.</summary>
public sealed partial class SettingsDocumentTests
{
    [Fact]
    public void Operations_ListEverySetting() => MadeBlock.AssertIn("docs/operations.md", "settings", Lines());

    private static IEnumerable<string> Lines()
    {
        var asked = new AskedSections();
        var builder = Host.CreateEmptyApplicationBuilder(new());
        ((IConfigurationBuilder)builder.Configuration).Add(asked);
        builder.Services.AddMembers().AddGateway();
        using var provider = builder.Services.BuildServiceProvider();
        var comments = new[] { typeof(Diagnostics.Variants), typeof(GatewayOptions) }
            .SelectMany(type => XDocument.Load(Path.ChangeExtension(type.Assembly.Location, ".xml")).Descendants("member"))
            .ToLookup(member => member.Attribute("name")!.Value);

        var bound = builder.Services.Select(service => service.ServiceType)
            .Where(type => type.IsGenericType && type.GetGenericTypeDefinition() == typeof(IOptionsChangeTokenSource<>))
            .Select(type => type.GenericTypeArguments[0])
            .Where(type => type.Namespace!.StartsWith(nameof(DistributedPatterns), StringComparison.Ordinal)).Distinct()
            .Select(type => (Type: type, Sections: SectionsOf(type, provider, asked)))
            .OrderBy(one => one.Sections[0], StringComparer.Ordinal).ThenBy(one => one.Type.Name, StringComparer.Ordinal);
        foreach (var (type, sections) in bound)
        {
            yield return "";
            yield return $"**{string.Join(", ", sections.Select(section => $"`{section}`"))}**: {CommentOf(type, "summary")}";
            yield return "";
            yield return "| key | what it sets | accepted |";
            yield return "|---|---|---|";
            foreach (var property in type.GetProperties().Where(property => property.SetMethod is { IsPublic: true } || property.PropertyType.IsInterface))
                yield return $"| `{property.Name}` | {Verb().Replace(CommentOf(property, "summary"), "")} | {AcceptedBy(property)} |";
        }
        yield return "";

        string AcceptedBy(PropertyInfo property) =>
            (property.PropertyType.IsEnum ? string.Join(", ", Enum.GetNames(property.PropertyType).Select(name => $"`{name}`")) + "; " : "") + CommentOf(property, "value");

        string CommentOf(MemberInfo member, string part)
        {
            var name = member is Type type ? $"T:{type.FullName}" : $"P:{member.DeclaringType!.FullName}.{member.Name}";
            return comments[name].FirstOrDefault()?.Element(part) is { } element ? Blanks().Replace(Plain(element), " ").Trim() : "";
        }
    }

    private static string[] SectionsOf(Type options, IServiceProvider provider, AskedSections asked) => (string[])typeof(SettingsDocumentTests)
        .GetMethod(nameof(SectionsOfOptions), BindingFlags.NonPublic | BindingFlags.Static)!.MakeGenericMethod(options).Invoke(null, [provider, asked])!;

    private static string[] SectionsOfOptions<T>(IServiceProvider provider, AskedSections asked) where T : class
    {
        var factory = provider.GetRequiredService<IOptionsFactory<T>>();
        return [.. provider.GetServices<IOptionsChangeTokenSource<T>>().Select(source => source.Name ?? "").Select(name =>
        {
            factory.Create(name); // reads the options that these look at too; from now on they are known
            asked.Paths.Clear();
            factory.Create(name);
            return asked.Paths.First();
        }).Distinct()];
    }

    private static string Plain(XElement element) => string.Concat(element.Nodes().Select(node => node switch
    {
        XText text => text.Value,
        XElement { Name.LocalName: "c" } code => $"`{code.Value}`",
        XElement see when (see.Attribute("cref") ?? see.Attribute("langword")) is { } to => $"`{to.Value.Split('(')[0].Split('.')[^1].Split('`')[0]}`",
        XElement other => Plain(other),
        _ => "",
    }));

    [GeneratedRegex("^Gets (or sets )?")]
    private static partial Regex Verb();

    [GeneratedRegex(@"\s+")]
    private static partial Regex Blanks();

    /// <summary>Has no settings, and remembers which sections options were bound to.</summary>
    private sealed class AskedSections : ConfigurationProvider, IConfigurationSource
    {
        public List<string> Paths { get; } = [];

        public IConfigurationProvider Build(IConfigurationBuilder builder) => this;

        public override IEnumerable<string> GetChildKeys(IEnumerable<string> earlierKeys, string? parentPath)
        {
            if (parentPath is not null) Paths.Add(parentPath);
            return base.GetChildKeys(earlierKeys, parentPath);
        }
    }
}
