using System.Globalization;
using DistributedPatterns.Gateway.Problems;

namespace DistributedPatterns.Gateway;

/// <summary>Reads query parameters, and says by name what is wrong with one and what it accepts.</summary>
internal static class QueryParameters
{
    private static readonly (string Suffix, TimeSpan Unit)[] s_units =
        [("ms", TimeSpan.FromMilliseconds(1)), ("s", TimeSpan.FromSeconds(1)), ("m", TimeSpan.FromMinutes(1))];

    /// <summary>Refuses parameters that the endpoint does not have: a misspelt one would else be ignored in silence.</summary>
    public static RouteHandlerBuilder TakesQuery(this RouteHandlerBuilder endpoint, params string[] names) =>
        endpoint.AddEndpointFilter((context, next) =>
        {
            foreach (var (name, values) in context.HttpContext.Request.Query)
            {
                if (!names.Contains(name, StringComparer.OrdinalIgnoreCase))
                {
                    throw new ProblemException(ProblemKind.InvalidParameter,
                        $"There is no parameter '{Gateway.Text.Shorten(name)}' here. {(names.Length == 0 ? "This endpoint takes none." : $"There are: {string.Join(", ", names)}.")}");
                }
                if (values.Count > 1) throw new ProblemException(ProblemKind.InvalidParameter, $"Parameter '{name}' is given {values.Count} times; once is right.");
            }
            return next(context);
        });

    /// <summary>Reads a time such as <c>500ms</c>, <c>2s</c> or <c>1m</c>.</summary>
    public static TimeSpan Time(string name, string? value, TimeSpan min, TimeSpan max, TimeSpan unset)
    {
        if (value is null) return unset;
        foreach (var (suffix, unit) in s_units)
        {
            if (value.EndsWith(suffix, StringComparison.Ordinal)
                && int.TryParse(value.AsSpan(..^suffix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out var count)
                && count <= max / unit && count * unit >= min)
            {
                return count * unit;
            }
        }
        throw new ProblemException(ProblemKind.InvalidParameter,
            $"Parameter '{name}' takes a time from {Text(min)} to {Text(max)}, such as 500ms or 2s, not '{Gateway.Text.Shorten(value)}'.");

        static string Text(TimeSpan time) => time.Milliseconds == 0 ? $"{(long)time.TotalSeconds}s" : $"{(long)time.TotalMilliseconds}ms";
    }

    /// <summary>Reads a whole number.</summary>
    public static int Count(string name, string? value, int min, int max, int unset) =>
        value is null ? unset
        : int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var count) && count >= min && count <= max ? count
        : throw new ProblemException(ProblemKind.InvalidParameter, string.Create(CultureInfo.InvariantCulture,
            $"Parameter '{name}' takes a whole number from {min} to {max}, not '{Gateway.Text.Shorten(value)}'."));

    /// <summary>Reads one of some words.</summary>
    public static T Choice<T>(string name, string? value, T unset) where T : struct, Enum =>
        value is null ? unset
        : Enum.GetNames<T>().FirstOrDefault(word => word.Equals(value, StringComparison.OrdinalIgnoreCase)) is { } known ? Enum.Parse<T>(known)
        : throw new ProblemException(ProblemKind.InvalidParameter,
            $"Parameter '{name}' takes {string.Join(" or ", Enum.GetNames<T>()).ToLowerInvariant()}, not '{Gateway.Text.Shorten(value)}'.");
}
