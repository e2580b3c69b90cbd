using System.Data.Common;
using DistributedPatterns.ResourcePooling;
using DistributedPatterns.ResourcePooling.Work;
using DistributedPatterns.Tests.Support;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Tests.ResourcePooling;

/// <summary>The fence in the database, and connections as pools need them: on SQLite, and on PostgreSQL where PATTERNS_POSTGRES has a connection string.</summary>
public sealed class DatabaseConnectionsTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("database-tests-");

    private static CancellationToken TestStop => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Delete(recursive: true);

    [Theory(Timeout = 60_000)]
    [InlineData("SQLite")]
    [InlineData("PostgreSQL")]
    public async Task Count_UnderATokenThatWasReplaced_IsRefusedForThatNumberAlone(string kind)
    {
        var database = NewDatabase(kind);
        await using var oldHolder = await database.OpenAsync(new ResourcePermit(0, 10), TestStop);
        await using var other = await database.OpenAsync(new ResourcePermit(1, 5), TestStop);
        await database.CountAsync(oldHolder, new ResourcePermit(0, 10), TestStop);

        await using var newHolder = await database.OpenAsync(new ResourcePermit(0, 11), TestStop);
        var refused = await Assert.ThrowsAsync<PermitFencedException>(async () => await database.CountAsync(oldHolder, new ResourcePermit(0, 10), TestStop));
        await database.CountAsync(newHolder, new ResourcePermit(0, 11), TestStop);
        await database.CountAsync(other, new ResourcePermit(1, 5), TestStop); // a lower token, but of another number

        Assert.Equal((new ResourcePermit(0, 10), 11), (refused.Permit, refused.Current));
        Assert.Equal(3, await database.UsesAsync(TestStop));
    }

    [Theory(Timeout = 60_000)]
    [InlineData("SQLite")]
    [InlineData("PostgreSQL")]
    public async Task Connections_OpenedAtTheSameTime_AllCount(string kind)
    {
        const int Uses = 20;
        var database = NewDatabase(kind);

        await Task.WhenAll(Enumerable.Range(0, 4).Select(number => Task.Run(async () =>
        {
            var permit = new ResourcePermit(number, 1);
            DbConnection connection = await database.OpenAsync(permit, TestStop);
            for (var i = 0; i < Uses; i++)
            {
                await database.CountAsync(connection, permit, TestStop);
                Assert.True(await database.CheckAsync(connection, TestStop));
                await database.ResetAsync(connection, TestStop);
            }
            await database.CloseAsync(connection);
        }, TestStop)));

        Assert.Equal(4 * Uses, await database.UsesAsync(TestStop));
    }

    [Theory(Timeout = 60_000)]
    [InlineData("SQLite")]
    [InlineData("PostgreSQL")]
    public async Task Reset_OfAClosedConnection_Throws(string kind)
    {
        var database = NewDatabase(kind);
        await using var connection = await database.OpenAsync(new ResourcePermit(0, 1), TestStop);
        await connection.CloseAsync();

        await Assert.ThrowsAsync<InvalidOperationException>(async () => await database.ResetAsync(connection, TestStop));
    }

    private DatabaseConnections NewDatabase(string kind)
    {
        var postgres = kind == "PostgreSQL" ? Environment.GetEnvironmentVariable("PATTERNS_POSTGRES") : null;
        if (kind == "PostgreSQL" && string.IsNullOrEmpty(postgres)) MissingServer.Skip("PATTERNS_POSTGRES has no connection string of a PostgreSQL.");
        return new DatabaseConnections(Options.Create(new DatabaseOptions { PostgreSql = postgres, SqliteFile = Path.Combine(_folder.FullName, "uses.db") }), Guid.NewGuid().ToString("N"));
    }
}
