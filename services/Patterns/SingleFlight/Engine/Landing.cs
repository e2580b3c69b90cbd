namespace DistributedPatterns.SingleFlight.Engine;

/// <summary>How a work ended: with a value or an error.</summary>
internal readonly record struct WorkOutcome<T>(T? Value, Exception? Error);

/// <summary>What a flight brings those who wait for it in this process.</summary>
internal sealed class Landing<T>
{
    private readonly T? _value;
    private readonly Func<FlightRole, Exception>? _error;

    private Landing(T? value, Func<FlightRole, Exception>? error, FlightRole role, long fence, bool isShared) =>
        (_value, _error, Role, Fence, IsShared) = (value, error, role, fence, isShared);

    /// <summary>Gets how this process came to the outcome. Of a run that it led, only one caller is the leader.</summary>
    public FlightRole Role { get; }

    public long Fence { get; }

    public bool IsShared { get; }

    public bool IsError => _error is not null;

    public static Landing<T> Of(T value, FlightRole role, long fence, bool isShared) => new(value, null, role, fence, isShared);

    /// <param name="error">Makes each caller's own exception.</param>
    public static Landing<T> Failed(Func<FlightRole, Exception> error, FlightRole role) => new(default, error, role, 0, true);

    public static Landing<T> Stopped() => Failed(static _ => new SingleFlightStoppedException(), FlightRole.Led);

    public Landing<T> Shared() => IsShared ? this : new(_value, _error, Role, Fence, isShared: true);

    /// <summary>Returns a caller's result, or throws its error.</summary>
    /// <param name="place">Whether the caller started this process's flight or joined it.</param>
    public FlightResult<T> For(FlightRole place)
    {
        var role = RoleOf(place);
        return _error is null ? new FlightResult<T>(_value!, role, IsShared, Fence) : throw _error(role);
    }

    public FlightRole RoleOf(FlightRole place) => Role == FlightRole.Led ? place : Role;
}
