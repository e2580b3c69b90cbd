namespace DistributedPatterns.Redis;

/// <summary>The Redis server runs scripts interleaved, so no pattern may use it.</summary>
public sealed class NotAtomicException(int counted, int expected) : Exception(
    $"Redis ran scripts interleaved: {counted} of {expected} increments survived. " +
    "On Garnet start the server with --lua --lua-transaction-mode; Redis 7 needs no setting.")
{
    /// <summary>Gets how many increments survived.</summary>
    public int Counted => counted;
}
