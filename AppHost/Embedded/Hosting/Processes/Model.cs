using System.Text.RegularExpressions;
using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting.Processes;

/// <summary>The application: its resources, and what made it fail, if anything did.</summary>
internal sealed partial class Model
{
    private readonly List<Resource> _resources = [];

    public IReadOnlyList<Resource> Resources => _resources;

    /// <summary>Gets or sets whether fixed ports give way to free ones, so that tests do not collide with a running system.</summary>
    public bool RandomizePorts { get; set; }

    /// <summary>Gets or sets why the application stopped by itself.</summary>
    public DistributedApplicationException? Failure { get; set; }

    public void Add(Resource resource)
    {
        if (!ValidName().IsMatch(resource.Name))
        {
            throw new DistributedApplicationException(
                $"Resource name '{resource.Name}' is not valid: 1 to 64 ASCII letters, digits and hyphens, a letter first, no hyphen last or twice in a row.");
        }

        if (_resources.Exists(r => string.Equals(r.Name, resource.Name, StringComparison.OrdinalIgnoreCase)))
        {
            throw new DistributedApplicationException($"There are two resources named '{resource.Name}'. Names differ by more than case.");
        }

        _resources.Add(resource);
    }

    /// <summary>Refuses what could not run, before anything does.</summary>
    public void Validate()
    {
        foreach (var resource in _resources)
        {
            if (resource.Replicas < 1)
            {
                throw new DistributedApplicationException($"Resource '{resource.Name}' has {resource.Replicas} replicas; it needs at least 1.");
            }

            if (resource.Endpoints.Find(e => !e.IsProxied && (e.Port is null or 0 || resource.Replicas > 1)) is { } endpoint)
            {
                throw new DistributedApplicationException(
                    $"Endpoint '{endpoint.Name}' of resource '{resource.Name}' has no proxy: give it a port, and the resource no more than 1 replica.");
            }

            if (resource is ProjectResource { Project: { } project } && !File.Exists(project.AssemblyPath))
            {
                throw new DistributedApplicationException($"""
                    Resource '{resource.Name}' cannot start: its assembly is missing.
                      {project.AssemblyPath}
                    Build it: dotnet build {project.ProjectPath}
                    """);
            }

            if (resource is RedisResource && (OperatingSystem.IsWindows() || Executables.Find("redis-server") is null))
            {
                throw new DistributedApplicationException($"""
                    Resource '{resource.Name}' cannot start: in place of a container this host runs 'redis-server' from the PATH of a Unix system, and there is none.
                    Install Redis, or leave Redis=container out to use the embedded server.
                    """);
            }
        }
    }

    /// <summary>Groups the processes so that each comes after everything that uses it: the order to stop them in.</summary>
    public IEnumerable<IReadOnlyList<Resource>> StopOrder()
    {
        var left = _resources.Where(r => r.IsProcess).ToList();
        while (left.Count > 0)
        {
            var unused = left.Where(r => !left.Exists(other => other != r && Uses(other, r))).ToList();

            // A circle of references has no order of its own.
            var next = unused.Count > 0 ? unused : [.. left];
            left.RemoveAll(next.Contains);
            yield return next;
        }

        static bool Uses(Resource user, Resource used) => user.WaitsFor.Contains(used) || user.References.Contains(used);
    }

    [GeneratedRegex("^(?=.{1,64}$)[A-Za-z][A-Za-z0-9]*(-[A-Za-z0-9]+)*$")]
    private static partial Regex ValidName();
}
