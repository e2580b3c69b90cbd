namespace DistributedPatterns.ResourcePooling.Engine;

/// <summary>What the places of a pool ask when one process is not alone: an open resource needs a permit too.</summary>
internal interface IPermitSource<T> where T : class
{
    /// <summary>Gets a permit in the order of arrival over all processes, perhaps with an open resource of this process that comes with it.</summary>
    /// <returns><see langword="null"/> when the limit is over.</returns>
    ValueTask<Grant<T>?> AcquireAsync(TimeSpan limit, CancellationToken cancellationToken);

    /// <summary>Asks whose turn it is when a resource came back and somebody waits. The slot is the caller's; what was passed is out of it afterwards.</summary>
    ValueTask<Turn> PassAsync(ResourceSlot<T> slot);

    /// <summary>Gives a permit back whose resource is closed.</summary>
    ValueTask ReleaseAsync(HeldPermit permit);

    /// <summary>Clears the pools of all processes, this one's included.</summary>
    ValueTask ClearAsync(CancellationToken cancellationToken);

    ValueTask<PermitStats> GetStatsAsync(CancellationToken cancellationToken);

    /// <summary>Says what there is to know for one who waited in vain.</summary>
    string Describe();
}

/// <summary>A permit for one open resource. It is lost together with the process's lease.</summary>
internal sealed record HeldPermit(int Number, long Token, long Ticket, PermitSession Session)
{
    public CancellationToken Lost => Session.Lost;

    public bool IsLost => Session.IsOver;
}

/// <param name="Resource">An open resource that another caller of this process has given back.</param>
internal sealed record Grant<T>(HeldPermit Permit, OpenResource<T>? Resource = null) where T : class;

/// <summary>Whose turn it is.</summary>
internal enum Turn
{
    /// <summary>Nobody waits: keep it.</summary>
    Keep,

    /// <summary>It went to another caller of this process, with its permit.</summary>
    Passed,

    /// <summary>A caller of another process is first: close it and release the permit.</summary>
    Elsewhere,
}
