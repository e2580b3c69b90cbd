using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting;

public interface IResourceWithServiceDiscovery : IResourceWithEndpoints;

/// <summary>A service project, as the build describes it.</summary>
public interface IProjectMetadata
{
    string ProjectPath { get; }

    /// <summary>Gets the built assembly, which is what starts. This host's own: Aspire starts the project.</summary>
    string AssemblyPath { get; }
}

public sealed class ProjectResourceOptions
{
    public bool ExcludeLaunchProfile { get; set; }
}
