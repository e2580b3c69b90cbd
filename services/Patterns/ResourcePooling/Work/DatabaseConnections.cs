using System.Data;
using System.Data.Common;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Options;
using Npgsql;

namespace DistributedPatterns.ResourcePooling.Work;

/// <summary>Opens database connections for a pool: PostgreSQL where a connection string is given, else a SQLite file. The drivers' own pools are off.</summary>
/// <remarks>
/// The table <c>pool_uses</c> keeps the highest token that it has seen of each permit. A connection claims its permit when it is opened, so a holder
/// that lost it is refused from then on.
/// </remarks>
public sealed class DatabaseConnections(IOptions<DatabaseOptions> options, string store) : IResourceFactory<DbConnection>
{
    // Both databases know it. The comparison and the write are one statement, so nothing comes between them.
    private const string Write = """
        INSERT INTO pool_uses (store, permit, token, uses) VALUES (@store, @permit, @token, @uses)
        ON CONFLICT (store, permit) DO UPDATE SET token = excluded.token, uses = pool_uses.uses + excluded.uses WHERE pool_uses.token <= excluded.token
        """;

    private const string Table = "CREATE TABLE IF NOT EXISTS pool_uses (store TEXT, permit INTEGER, token BIGINT NOT NULL, uses BIGINT NOT NULL, PRIMARY KEY (store, permit))";

    /// <inheritdoc/>
    public async ValueTask<DbConnection> OpenAsync(ResourcePermit permit, CancellationToken cancellationToken)
    {
        var connection = Create();
        try
        {
            await connection.OpenAsync(cancellationToken).ConfigureAwait(false);
            if (connection is SqliteConnection)
                await ExecuteAsync(connection, "PRAGMA busy_timeout = 2000; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL", cancellationToken).ConfigureAwait(false);
            await CreateTableAsync(connection, cancellationToken).ConfigureAwait(false);
            await WriteAsync(connection, permit, uses: 0, cancellationToken).ConfigureAwait(false);
            return connection;
        }
        catch
        {
            await connection.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <inheritdoc/>
    public async ValueTask<bool> CheckAsync(DbConnection resource, CancellationToken cancellationToken)
    {
        await ExecuteAsync(resource, "SELECT 1", cancellationToken).ConfigureAwait(false);
        return true;
    }

    /// <inheritdoc/>
    public async ValueTask ResetAsync(DbConnection resource, CancellationToken cancellationToken)
    {
        if (resource.State != ConnectionState.Open) throw new InvalidOperationException($"The connection is {resource.State}.");
        // Settings, temporary tables and locks of the last user. A SQLite connection has none that this program makes.
        if (resource is NpgsqlConnection) await ExecuteAsync(resource, "DISCARD ALL", cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public ValueTask CloseAsync(DbConnection resource) => resource.DisposeAsync();

    /// <summary>Counts a use, unless the permit's number has been given to another holder meanwhile.</summary>
    /// <exception cref="PermitFencedException">It has; nothing was written.</exception>
    public ValueTask CountAsync(DbConnection connection, ResourcePermit permit, CancellationToken cancellationToken) => WriteAsync(connection, permit, uses: 1, cancellationToken);

    /// <summary>Reads how many uses were counted. Over a connection of its own: what asks how full the pool is must not wait for it.</summary>
    public async ValueTask<long> UsesAsync(CancellationToken cancellationToken)
    {
        var connection = Create();
        await using var __ = connection.ConfigureAwait(false);
        await connection.OpenAsync(cancellationToken).ConfigureAwait(false);
        await CreateTableAsync(connection, cancellationToken).ConfigureAwait(false);
        var command = Command(connection, "SELECT COALESCE(SUM(uses), 0) FROM pool_uses WHERE store = @store", ("@store", store));
        await using var _ = command.ConfigureAwait(false);
        return Convert.ToInt64(await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false), System.Globalization.CultureInfo.InvariantCulture);
    }

    private DbConnection Create()
    {
        if (options.Value.PostgreSql is { } text) return new NpgsqlConnection(new NpgsqlConnectionStringBuilder(text) { Pooling = false }.ConnectionString);
        var file = options.Value.SqliteFile;
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(file))!);
        return new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = file, Pooling = false, DefaultTimeout = 5 }.ConnectionString);
    }

    private static async ValueTask CreateTableAsync(DbConnection connection, CancellationToken cancellationToken)
    {
        try
        {
            await ExecuteAsync(connection, Table, cancellationToken).ConfigureAwait(false);
        }
        catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.UniqueViolation)
        {
            // Two that create it at the same time may both try: the other one has.
        }
    }

    private async ValueTask WriteAsync(DbConnection connection, ResourcePermit permit, long uses, CancellationToken cancellationToken)
    {
        var write = Command(connection, Write, ("@store", store), ("@permit", permit.Number), ("@token", permit.Token), ("@uses", uses));
        await using var _ = write.ConfigureAwait(false);
        if (await write.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false) > 0) return;
        var read = Command(connection, "SELECT token FROM pool_uses WHERE store = @store AND permit = @permit", ("@store", store), ("@permit", permit.Number));
        await using var __ = read.ConfigureAwait(false);
        throw new PermitFencedException(permit, (long)(await read.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false))!);
    }

    private static async ValueTask ExecuteAsync(DbConnection connection, string text, CancellationToken cancellationToken)
    {
        var command = Command(connection, text);
        await using var _ = command.ConfigureAwait(false);
        await command.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
    }

    // The text is one of the constants above.
#pragma warning disable CA2100
    private static DbCommand Command(DbConnection connection, string text, params ReadOnlySpan<(string Name, object Value)> parameters)
    {
        var command = connection.CreateCommand();
        command.CommandText = text;
#pragma warning restore CA2100
        foreach (var (name, value) in parameters)
        {
            var parameter = command.CreateParameter();
            (parameter.ParameterName, parameter.Value) = (name, value);
            command.Parameters.Add(parameter);
        }
        return command;
    }
}
