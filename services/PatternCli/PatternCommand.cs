namespace DistributedPatterns.PatternCli;

/// <summary>Runs one pattern's scenario and shows how it goes. Every command is listed in <see cref="CommandLine.Commands"/>.</summary>
internal abstract class PatternCommand
{
    /// <summary>Gets the pattern's name, as the gateway's routes have it.</summary>
    public abstract string Name { get; }

    /// <summary>Gets what <c>--input</c> takes, for the list.</summary>
    public abstract string Inputs { get; }

    /// <summary>Gets what it runs, in a line.</summary>
    public abstract string Summary { get; }

    /// <summary>Runs it to its end.</summary>
    /// <returns>One of the exit codes of <see cref="CommandLine"/>.</returns>
    /// <exception cref="RunUnavailableException">It could not be started or watched; the message is for the user.</exception>
    /// <exception cref="BadUsageException">The input is not one of <see cref="Inputs"/>.</exception>
    public abstract Task<int> RunAsync(CommandContext context);
}

/// <summary>What the command line asks for.</summary>
/// <param name="Variant"><c>channel</c>: in this program. <c>distributed</c>: through the gateway's endpoints.</param>
/// <param name="Input">The value of <c>--input</c>, or <see langword="null"/> for the pattern's own sample.</param>
internal sealed record CommandContext(string Variant, string? Input, Uri Gateway, TextWriter Output, TextWriter Error);

/// <summary>The command line asks for something that there is not; the message says what there is.</summary>
internal sealed class BadUsageException(string message) : Exception(message);

/// <summary>The run could not be started or watched; the message is for the user.</summary>
internal sealed class RunUnavailableException(string message, Exception? inner = null) : Exception(message, inner);
