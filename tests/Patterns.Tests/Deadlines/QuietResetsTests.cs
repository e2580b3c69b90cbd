using DistributedPatterns.Tests.Gateway;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace DistributedPatterns.Tests.Deadlines;

/// <summary>What a service logs as an error of a gRPC call.</summary>
public sealed class QuietResetsTests
{
    private const string Calls = "Grpc.AspNetCore.Server.ServerCallHandler";

    [Theory]
    [InlineData(Calls, 6, "The client reset the request stream.", 0)]
    [InlineData(Calls, 6, "The disk is full.", 1)]
    [InlineData(Calls, 7, "The client reset the request stream.", 1)]
    [InlineData("Other", 6, "The client reset the request stream.", 1)]
    public void Error_OfACall_IsHiddenOnlyWhenItsClientWentAway(string category, int eventId, string message, int errors)
    {
        var log = new ErrorLog();
        var builder = Host.CreateApplicationBuilder();
        builder.Logging.ClearProviders().AddProvider(log);
        builder.AddServiceDefaults();
        using var host = builder.Build();

        host.Services.GetRequiredService<ILoggerFactory>().CreateLogger(category).Log(
            LogLevel.Error, new EventId(eventId), "state", new IOException(message), static (state, _) => state);

        Assert.Equal(errors, log.Errors.Count);
    }
}
