using DistributedPatterns.EventLoop.Tally;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers the scenario of the event loop.</summary>
public static class TallyServiceCollectionExtensions
{
    /// <summary>Registers the handlers <c>tally</c>, <c>visit</c> and <c>visit-end</c>.</summary>
    public static IServiceCollection AddTallyHandlers(this IServiceCollection services) =>
        services.AddLoopHandler(TallyHandlers.Tally).AddLoopHandler(TallyHandlers.Visit).AddLoopHandler(TallyHandlers.VisitEnd);
}
