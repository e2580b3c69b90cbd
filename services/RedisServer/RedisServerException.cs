namespace RedisServer;

/// <summary>The server cannot start; the message says why and what to change.</summary>
internal sealed class RedisServerException(string message, Exception? inner = null) : Exception(message, inner);
