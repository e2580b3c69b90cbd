namespace DistributedPatterns.Deadlines;

/// <summary>The deadline and attempt under which the code at hand runs. It flows with <see langword="await"/>, as a trace context does, so that calls go on under it unasked.</summary>
public static class AmbientDeadline
{
    private static readonly AsyncLocal<Entry?> s_current = new();

    /// <summary>Gets the deadline; <see cref="Deadline.None"/> outside any.</summary>
    public static Deadline Current => s_current.Value?.Deadline ?? Deadline.None;

    /// <summary>Gets which attempt of the outermost call this is, from 1.</summary>
    public static int Attempt => s_current.Value?.Attempt ?? 1;

    /// <summary>Sets both until the calling asynchronous method returns.</summary>
    internal static void Enter(Deadline deadline, int attempt) => s_current.Value = new Entry(deadline, attempt);

    private sealed record Entry(Deadline Deadline, int Attempt);
}
