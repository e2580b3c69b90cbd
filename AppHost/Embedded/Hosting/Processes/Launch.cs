using System.Diagnostics;
using System.Globalization;
using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting.Processes;

/// <summary>Says how a replica is started.</summary>
internal sealed class Launch(ReplicaEnvironment environment)
{
    /// <summary>
    /// redis-server knows nothing of its standard input, so a shell watches it in its stead and ends the server with it.
    /// Its own session, where the system has setsid, keeps Ctrl+C from stopping Redis before those who use it. The password
    /// comes by configuration, since anyone may read a command line.
    /// </summary>
    private const string RedisScript = """
        trap '' INT
        exec 3<&0
        session=$(command -v setsid || :)
        $session "$1" - --port "$2" --bind 127.0.0.1 --save '' --appendonly no --maxmemory-policy noeviction 3<&- <<END &
        requirepass $REDIS_PASSWORD
        END
        server=$!
        trap 'kill -TERM $server 2>/dev/null' TERM
        (while read -r line <&3; do :; done; kill -TERM $server) >/dev/null 2>&1 &
        watch=$!
        wait $server; code=$?
        while kill -0 $server 2>/dev/null; do wait $server; code=$?; done
        kill $watch 2>/dev/null
        exit $code
        """;

    public async ValueTask<ProcessStartInfo> PrepareAsync(
        Resource resource, string instanceId, IReadOnlyDictionary<string, int> ports, CancellationToken cancellationToken)
    {
        if (resource is RedisResource redis)
        {
            var port = ports[redis.PrimaryEndpoint.EndpointName].ToString(CultureInfo.InvariantCulture);
            var shell = new ProcessStartInfo("/bin/sh", ["-c", RedisScript, "redis", Executables.Find("redis-server")!, port]);
            shell.Environment["REDIS_PASSWORD"] = await redis.PasswordParameter.GetValueAsync(cancellationToken);
            return shell;
        }

        var project = ((ProjectResource)resource).Project;
        var start = new ProcessStartInfo(Executables.DotNet, [project.AssemblyPath])
        {
            WorkingDirectory = Path.GetDirectoryName(project.ProjectPath),
        };
        start.Environment.Clear();
        foreach (var (name, value) in await environment.BuildAsync((ProjectResource)resource, instanceId, ports, cancellationToken))
        {
            start.Environment[name] = value;
        }

        return start;
    }
}
