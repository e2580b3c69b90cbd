using System.Diagnostics;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace ServiceDefaults;

/// <summary>The lifetime of a service that the embedded AppHost started: it lives and stops as that host wants.</summary>
/// <remarks>
/// Ctrl+C reaches the whole process group, but the host stops its children one after the other, so that workers drain
/// before Redis goes: SIGINT is ignored, SIGTERM stops. Standard input ends when the host dies, however it dies; the service
/// then stops, and is killed if it has not ended ten seconds later.
/// </remarks>
internal sealed partial class EmbeddedHostLifetime(IHostApplicationLifetime application, ILogger<EmbeddedHostLifetime> logger)
    : IHostLifetime, IDisposable
{
    public const string Variable = "DISTRIBUTEDPATTERNS_HOST";

    private static readonly TimeSpan s_orphanLimit = TimeSpan.FromSeconds(10);

    private readonly List<PosixSignalRegistration> _signals = [];

    public Task WaitForStartAsync(CancellationToken cancellationToken)
    {
        _signals.Add(PosixSignalRegistration.Create(PosixSignal.SIGINT, static context => context.Cancel = true));
        _signals.Add(PosixSignalRegistration.Create(PosixSignal.SIGQUIT, static context => context.Cancel = true));
        _signals.Add(PosixSignalRegistration.Create(PosixSignal.SIGTERM, context =>
        {
            context.Cancel = true;
            application.StopApplication();
        }));
        // A thread of its own: reading standard input blocks, also where it is called asynchronous.
        new Thread(FollowHost) { IsBackground = true, Name = "Host watch" }.Start();
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public void Dispose() => _signals.ForEach(signal => signal.Dispose());

    private void FollowHost()
    {
        try
        {
            using var input = Console.OpenStandardInput();
            Span<byte> ignored = stackalloc byte[256];
            while (input.Read(ignored) > 0)
            {
            }
        }
        catch (IOException)
        {
            // A broken pipe is an ended one.
        }
        if (application.ApplicationStopping.IsCancellationRequested)
            return;
        LogOrphaned(s_orphanLimit);
        application.StopApplication();
        using var never = new ManualResetEventSlim();
        never.Wait(s_orphanLimit);
        Process.GetCurrentProcess().Kill();
    }

    [LoggerMessage(LogLevel.Warning, "The host that started this process is gone: stopping, at the latest in {Limit}")]
    private partial void LogOrphaned(TimeSpan limit);
}
