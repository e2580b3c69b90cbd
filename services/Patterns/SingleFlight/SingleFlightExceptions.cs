using System.Globalization;

namespace DistributedPatterns.SingleFlight;

/// <summary>The base of what this pattern throws for reasons of its own.</summary>
public abstract class SingleFlightException(string message, Exception? inner = null) : Exception(message, inner)
{
    // A key can be long; the message should not be.
    private protected static string Shorten(string key) => key.Length <= 80 ? key : key[..80] + "…";
}

/// <summary>No work of that name, or of those types, is registered.</summary>
public sealed class UnknownFlightException(string message) : SingleFlightException(message);

/// <summary>The work threw. Each caller has an exception of its own, and the run's error is in it.</summary>
/// <remarks>The inner exception is there when the work ran in this process.</remarks>
public sealed class FlightFailedException(string work, string key, FlightRole role, string errorType, string reason, Exception? inner = null)
    : SingleFlightException($"Work '{work}' failed for key '{Shorten(key)}': {reason}", inner)
{
    public string Work { get; } = work;

    public string Key { get; } = key;

    /// <summary>Gets whether this call had started the run.</summary>
    public FlightRole Role { get; } = role;

    /// <summary>Gets the name of the type that the work threw.</summary>
    public string ErrorType { get; } = errorType;

    /// <summary>Gets the message of what it threw.</summary>
    public string Reason { get; } = reason;
}

/// <summary>There was no outcome within the limit of the call. Other callers may wait on.</summary>
public sealed class FlightTimeoutException(string work, string key, TimeSpan limit)
    : SingleFlightException($"Work '{work}' had no outcome for key '{Shorten(key)}' within {limit}.")
{
    public TimeSpan Limit { get; } = limit;
}

/// <summary>No room for another flight, or for another caller.</summary>
public sealed class FlightsFullException(string what, int limit, string setting) : SingleFlightException(
    string.Create(CultureInfo.InvariantCulture, $"{limit:N0} of {limit:N0} {what}. Raise {setting}, or ask for fewer at the same time."))
{
    /// <summary>Gets how many there may be.</summary>
    public int Limit { get; } = limit;

    /// <summary>Gets the setting that raises it.</summary>
    public string Setting { get; } = setting;
}

/// <summary>Redis did not answer, so that nobody knows whether the work runs elsewhere.</summary>
public sealed class FlightUnavailableException(string work, string key, Exception inner)
    : SingleFlightException($"Work '{work}' cannot be asked for with key '{Shorten(key)}' at present: Redis does not answer.", inner);

/// <summary>The process is stopping: it takes nothing on, and what was under way was cut off.</summary>
public sealed class SingleFlightStoppedException() : SingleFlightException("The process is stopping and takes no calls any more.");
