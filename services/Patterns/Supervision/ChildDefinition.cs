using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;

namespace DistributedPatterns.Supervision;

/// <summary>What a child does, for as long as it runs.</summary>
/// <param name="context">Who it is, what it keeps, and where it gives a sign.</param>
/// <param name="cancellationToken">Cancelled when it has to stop. One that ignores it is replaced, runs on, and can write nothing any more.</param>
public delegate Task ChildBody(ChildContext context, CancellationToken cancellationToken);

/// <summary>A child by name. Immutable; the same one serves both variants.</summary>
/// <remarks>Across processes only the name travels, so every process registers the same children in the same order.</remarks>
public sealed class ChildDefinition
{
    /// <param name="name">1 to 64 letters, digits, dots, underscores or hyphens.</param>
    /// <param name="run">It must be repeatable from what it keeps.</param>
    /// <param name="options">What is done when it ends.</param>
    public ChildDefinition(string name, ChildBody run, ChildOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(name);
        ArgumentNullException.ThrowIfNull(run);
        if (name.Length is < 1 or > 64 || name.Any(c => !char.IsAsciiLetterOrDigit(c) && c is not ('.' or '_' or '-')))
            throw new ArgumentException($"'{name}' is no name of a child: 1 to 64 letters, digits, dots, underscores or hyphens.", nameof(name));
        (Name, Run, Options) = (name, run, options ?? new());
        Validator.ValidateObject(Options, new ValidationContext(Options), validateAllProperties: true);
    }

    public string Name { get; }

    internal ChildBody Run { get; }

    internal ChildOptions Options { get; }
}

/// <summary>What is done when a child ends, or seems to.</summary>
public sealed class ChildOptions
{
    /// <summary>Gets or sets when the child is started again.</summary>
    /// <value><see cref="ChildRestart.Permanent"/> unless set.</value>
    [EnumDataType(typeof(ChildRestart))]
    public ChildRestart Restart { get; set; }

    /// <summary>Gets or sets how long the child may give no sign (<see cref="ChildContext.Beat"/>) before it counts as hung.</summary>
    /// <value>From 10 milliseconds to 1 day; <see langword="null"/>, for ever, unless set. One with a limit counts as up with its first sign, one without when it comes to its first await.</value>
    [Range(typeof(TimeSpan), "00:00:00.01", "1.00:00:00")]
    public TimeSpan? HeartbeatLimit { get; set; }

    /// <summary>Gets or sets how long the child has to stop once its token is cancelled.</summary>
    /// <value>From zero to 10 minutes; 5 seconds unless set.</value>
    [Range(typeof(TimeSpan), "00:00:00", "00:10:00")]
    public TimeSpan StopLimit { get; set; } = TimeSpan.FromSeconds(5);
}

/// <summary>When a child is started again.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<ChildRestart>))]
public enum ChildRestart
{
    /// <summary>Always: it has no end of its own.</summary>
    Permanent,

    /// <summary>When it fails; not when it returns.</summary>
    Transient,

    /// <summary>Never, not even with its siblings.</summary>
    Temporary,
}

/// <summary>The children registered in this process, in the order of their starts.</summary>
public sealed class ChildCatalog
{
    /// <summary>The most children of a supervisor.</summary>
    public const int MaxChildren = 64;

    /// <exception cref="ArgumentException">Two children have the same name, or there are too many.</exception>
    public ChildCatalog(IEnumerable<ChildDefinition> children)
    {
        All = [.. children];
        if (All.Count > MaxChildren) throw new ArgumentException($"{All.Count} children are too many for one supervisor; {MaxChildren} are allowed. Group them under supervisors of their own.", nameof(children));
        if (All.GroupBy(child => child.Name).FirstOrDefault(group => group.Count() > 1) is { } twice)
            throw new ArgumentException($"There are {twice.Count()} children with the name '{twice.Key}'.", nameof(children));
    }

    public IReadOnlyList<ChildDefinition> All { get; }

    /// <exception cref="ChildNotFoundException">None has that name.</exception>
    internal int PlaceOf(string child)
    {
        for (var i = 0; i < All.Count; i++)
            if (All[i].Name == child) return i;
        throw new ChildNotFoundException(child, All.Select(known => known.Name));
    }
}
