using System.Text.RegularExpressions;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Processes;

namespace Aspire.Hosting.Dashboard;

/// <summary>Tells which values a page hides until a person asks for them.</summary>
internal sealed partial class Secrets
{
    /// <summary>Shorter ones would be found in values that have nothing to do with them.</summary>
    private const int LeastLength = 4;

    private readonly IReadOnlyList<string> _values;

    private Secrets(IReadOnlyList<string> values) => _values = values;

    public static async ValueTask<Secrets> OfAsync(Model model)
    {
        var values = new List<string>();
        foreach (var parameter in model.Resources.OfType<ParameterResource>().Where(p => p.Secret))
        {
            if (await parameter.GetValueAsync() is { Length: >= LeastLength } value)
            {
                values.Add(value);
            }
        }

        return new(values);
    }

    /// <summary>Gets whether a value has a secret parameter in it, or looks by its name or itself like a secret. Rather one too many.</summary>
    public bool IsIn(string name, string? value) =>
        !string.IsNullOrEmpty(value)
        && (SecretName().IsMatch(name) || SecretPart().IsMatch(value) || _values.Any(secret => value.Contains(secret, StringComparison.Ordinal)));

    [GeneratedRegex("passw|pwd|secret|token|key|credential", RegexOptions.IgnoreCase)]
    private static partial Regex SecretName();

    // A part of a connection string, or the user's part of an address.
    [GeneratedRegex(@"(passw\w*|pwd|secret|token|key)\s*=\s*[^\s;,]|://[^/\s@]*:[^/\s@]+@", RegexOptions.IgnoreCase)]
    private static partial Regex SecretPart();
}
