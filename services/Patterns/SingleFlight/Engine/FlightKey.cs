using System.Globalization;

namespace DistributedPatterns.SingleFlight.Engine;

internal static class FlightKey
{
    /// <summary>Returns a key that is one.</summary>
    /// <exception cref="ArgumentException">It is empty or too long.</exception>
    public static string Checked(string key)
    {
        ArgumentException.ThrowIfNullOrEmpty(key);
        return key.Length <= FlightDefinition.MaxKeyLength ? key : throw new ArgumentException(
            string.Create(CultureInfo.InvariantCulture, $"A key has at most {FlightDefinition.MaxKeyLength} characters, not {key.Length:N0}. Hash what is longer."), nameof(key));
    }
}
