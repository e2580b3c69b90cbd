using Microsoft.Extensions.Logging;

namespace ServiceDefaults;

/// <summary>Logs a gRPC call whose client went away in the midst of its request as the news that it is, not as the server's error. Everything else is logged as it comes.</summary>
/// <remarks>
/// gRPC does so itself for a call that is cancelled. But Kestrel ends a reset stream's body first and cancels its token afterwards, and a call that was reading the
/// body in between looks as if its method had failed. Every deadline that passes while a request is under way can do that.
/// </remarks>
internal sealed class QuietResets(LoggerFactory loggers) : ILoggerFactory
{
    private const string Category = "Grpc.AspNetCore.Server.ServerCallHandler";
    private const int ErrorExecutingServiceMethod = 6;
    private const string Reset = "The client reset the request stream.";

    public ILogger CreateLogger(string categoryName) => categoryName == Category ? new Calls(loggers.CreateLogger(categoryName)) : loggers.CreateLogger(categoryName);

    public void AddProvider(ILoggerProvider provider) => loggers.AddProvider(provider);

    public void Dispose() => loggers.Dispose();

    private sealed class Calls(ILogger inner) : ILogger
    {
        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            var isReset = eventId.Id == ErrorExecutingServiceMethod && exception is IOException { Message: Reset };
            inner.Log(isReset ? LogLevel.Information : logLevel, eventId, state, exception, formatter);
        }

        public bool IsEnabled(LogLevel logLevel) => inner.IsEnabled(logLevel);

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => inner.BeginScope(state);
    }
}
