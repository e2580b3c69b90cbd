using System.Data.Common;
using DistributedPatterns.ResourcePooling;
using DistributedPatterns.ResourcePooling.Work;

namespace DistributedPatterns.Tests.MemberProcess;

/// <summary>Takes a connection and never gives it back: waits until its permit is lost, then writes all the same, and says what it is told.</summary>
internal sealed class PermitHolder([FromKeyedServices("distributed:held")] IResourcePool<DbConnection> pool, DatabaseConnections database) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        Console.WriteLine("@waiting");
        var loan = await pool.AcquireAsync(null, stoppingToken);
        Console.WriteLine($"@held {loan.Permit.Number} {loan.Permit.Token}");
        var lost = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using (loan.Lost.UnsafeRegister(_ => lost.TrySetResult(), null))
            await lost.Task.WaitAsync(stoppingToken);
        Console.WriteLine("@lost");
        try
        {
            await database.CountAsync(loan.Resource, loan.Permit, stoppingToken);
            Console.WriteLine("@write done");
        }
        catch (PermitFencedException e)
        {
            Console.WriteLine($"@write {e.GetType().Name}");
        }
    }
}
