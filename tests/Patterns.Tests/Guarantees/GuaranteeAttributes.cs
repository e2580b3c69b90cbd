namespace DistributedPatterns.Tests.Guarantees;

/// <summary>What the README's table says of each variant, a column each.</summary>
public enum Guarantee
{
    Order,

    /// <summary>How often something counts, and how often it may be done for that.</summary>
    Delivery,

    /// <summary>What becomes of a process' work when it dies.</summary>
    ProcessDeath,

    /// <summary>What happens to one that was replaced and does not know it.</summary>
    StaleHolder,

    /// <summary>What happens when the bound is reached.</summary>
    Full,
}

/// <summary>Says of which variant a conformance class is; <see cref="PromisesAttribute"/> and <see cref="DoesNotPromiseAttribute"/> say what that one promises.</summary>
/// <param name="pattern">As in routes: <c>worker-pool</c>.</param>
/// <param name="variant">One of <see cref="Diagnostics.Variants"/>.</param>
/// <param name="others">Classes beside this one whose tests are named: faults, scripts.</param>
[AttributeUsage(AttributeTargets.Class, Inherited = false)]
public sealed class GuaranteesAttribute(string pattern, string variant, params Type[] others) : Attribute
{
    public string Pattern => pattern;

    public string Variant => variant;

    public IReadOnlyList<Type> Others => others;
}

/// <summary>A guarantee, in the words of the table.</summary>
/// <param name="shownBy">The tests that fail when it does not hold.</param>
[AttributeUsage(AttributeTargets.Class, AllowMultiple = true, Inherited = false)]
public sealed class PromisesAttribute(Guarantee guarantee, string what, params string[] shownBy) : Attribute
{
    public Guarantee Guarantee => guarantee;

    public string What => what;

    public IReadOnlyList<string> ShownBy => shownBy;
}

/// <summary>What is not promised, and what is the case instead.</summary>
[AttributeUsage(AttributeTargets.Class, AllowMultiple = true, Inherited = false)]
public sealed class DoesNotPromiseAttribute(Guarantee guarantee, string what) : Attribute
{
    public Guarantee Guarantee => guarantee;

    public string What => what;
}
