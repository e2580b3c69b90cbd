namespace DistributedPatterns.ResourcePooling.Engine;

/// <summary>A place in a pool, with an open resource or without. Whoever has taken it may touch everything in it; others read.</summary>
/// <remarks>
/// Its state and the number of the loan are one word, so that one compare-and-swap lends it, one takes it back, and a loan that is over
/// matches nothing any more: <c>4n</c> free, <c>4n + 1</c> lent for the n-th time or so, <c>4n + 2</c> in the hands of the pool.
/// </remarks>
internal sealed class ResourceSlot<T>(int number) where T : class
{
    private const long Lent = 1;
    private const long Cared = 2;
    private const long Phases = 3;
    private const long Next = 4;

    private long _version;
    private int _doubts;
    private long _loans;

    public int Number => number;

    public long Version => Volatile.Read(ref _version);

    public T? Resource { get; private set; }

    public OpenResource<T>? Opened { get; private set; }

    /// <summary>Gets or sets what the resource is open under, where one process is not alone.</summary>
    public HeldPermit? Permit { get; set; }

    /// <summary>Gets the pool's generation when the resource was opened.</summary>
    public int Generation { get; private set; }

    /// <summary>Gets or sets who has it, where leaks are looked for.</summary>
    public Borrower? Borrower { get; set; }

    /// <summary>Gets or sets what the pool's rounds remember: the version that they saw last, and since when.</summary>
    public Sighting Seen { get; set; } = new(-1, 0);

    public bool IsFree => (Version & Phases) == 0;

    /// <summary>Gets whether there is nothing to look at before it is lent or freed.</summary>
    public bool IsSound => Volatile.Read(ref _doubts) == 0;

    public static bool IsLent(long version) => (version & Phases) == Lent;

    public static bool IsCared(long version) => (version & Phases) == Cared;

    public bool Has(Doubts doubt) => (Volatile.Read(ref _doubts) & (int)doubt) != 0;

    public void Add(Doubts doubt) => Interlocked.Or(ref _doubts, (int)doubt);

    public void Remove(Doubts doubt) => Interlocked.And(ref _doubts, ~(int)doubt);

    /// <summary>Puts an open resource in.</summary>
    public void Put(OpenResource<T> opened)
    {
        Volatile.Write(ref _doubts, 0);
        (Opened, Generation, Resource) = (opened, opened.Generation, opened.Value);
        if (Permit is { IsLost: true }) Add(Doubts.Lost); // before it could be told
    }

    /// <summary>Takes the open resource out.</summary>
    public OpenResource<T> Empty()
    {
        var opened = Opened!;
        (Opened, Resource) = (null, null);
        return opened;
    }

    /// <summary>Takes it for a caller, if it is free.</summary>
    public bool TryLend(out long version)
    {
        var free = Version;
        version = free + Lent;
        if ((free & Phases) != 0 || Interlocked.CompareExchange(ref _version, version, free) != free) return false;
        _loans++;
        return true;
    }

    /// <summary>Takes it for the pool, if it is free.</summary>
    public bool TryCare()
    {
        var free = Version;
        return (free & Phases) == 0 && Interlocked.CompareExchange(ref _version, free + Cared, free) == free;
    }

    /// <summary>Frees it, if this loan is not over yet.</summary>
    public bool TryFree(long lent) => Interlocked.CompareExchange(ref _version, lent - Lent + Next, lent) == lent;

    /// <summary>Takes it from its borrower for the pool, if this loan is not over yet.</summary>
    public bool TryTakeBack(long lent) => Interlocked.CompareExchange(ref _version, lent - Lent + Cared, lent) == lent;

    /// <summary>Takes back what nobody has seen yet: the pool has to look after it first.</summary>
    public void Unlend(long lent)
    {
        _loans--;
        Volatile.Write(ref _version, lent - Lent + Cared);
    }

    /// <summary>Lends what the pool has taken.</summary>
    public long Lend()
    {
        _loans++;
        var version = Version - Cared + Lent;
        Volatile.Write(ref _version, version);
        return version;
    }

    /// <summary>Frees what the pool has taken.</summary>
    public void Free() => Interlocked.Exchange(ref _version, Version - Cared + Next);

    public ResourcePermit PermitOf(long version) => Permit is { } held ? new ResourcePermit(held.Number, held.Token) : new ResourcePermit(number, version / Next);

    /// <summary>Reads how often it was lent, together with what it is doing at that moment.</summary>
    public (long Loans, long Version) Read()
    {
        while (true)
        {
            var version = Version;
            var loans = Volatile.Read(ref _loans);
            // Right after it was taken the loan is not counted yet; nobody can have seen it by then.
            if (Version == version) return (loans, version);
        }
    }
}

/// <summary>A resource, and what decides how long it may stay.</summary>
internal sealed record OpenResource<T>(T Value, int Generation, long OpenedAt, TimeSpan Lifetime) where T : class;

/// <summary>What speaks against lending a resource as it is.</summary>
[Flags]
internal enum Doubts
{
    /// <summary>It lay idle for long.</summary>
    Unchecked = 1,
    Expired = 2,
    Broken = 4,

    /// <summary>Its permit is lost.</summary>
    Lost = 8,

    /// <summary>It has been idle for longer than anybody needs it.</summary>
    Unneeded = 16,
}

/// <summary>What a round saw of a slot.</summary>
/// <param name="Since">The time of the first round that saw this version.</param>
/// <param name="Reported">Whether it was reported as a leak.</param>
internal sealed record Sighting(long Version, long Since, bool Reported = false);

/// <summary>Who has a resource.</summary>
internal sealed record Borrower(string Stack, string? TraceId);
