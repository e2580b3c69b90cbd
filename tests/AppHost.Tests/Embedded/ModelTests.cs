using Aspire.Hosting.Processes;

namespace DistributedPatterns.Tests;

/// <summary>What the embedded host refuses, and how it says so.</summary>
public sealed class ModelTests
{

    [Theory]
    [InlineData("a")]
    [InlineData("worker-2")]
    public void AddResource_GoodName_IsTaken(string name) =>
        DistributedApplication.CreateBuilder(["--Dashboard=none"]).AddProject<Missing>(name, o => o.ExcludeLaunchProfile = true);

    [Theory]
    [InlineData("")]
    [InlineData("2nd")]
    [InlineData("my_service")]
    [InlineData("ends-")]
    [InlineData("two--hyphens")]
    [InlineData("größe")]
    [InlineData("a123456789012345678901234567890123456789012345678901234567890123456789")]
    public void AddResource_BadName_IsRefusedByName(string name)
    {
        var refusal = Assert.Throws<DistributedApplicationException>(
            () => DistributedApplication.CreateBuilder(["--Dashboard=none"]).AddProject<Missing>(name, o => o.ExcludeLaunchProfile = true));

        Assert.Contains($"'{name}'", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void AddResource_SameNameInOtherCase_IsRefused()
    {
        var builder = DistributedApplication.CreateBuilder(["--Dashboard=none"]);
        builder.AddProject<Missing>("worker", o => o.ExcludeLaunchProfile = true);

        Assert.Throws<DistributedApplicationException>(() => builder.AddProject<Missing>("Worker", o => o.ExcludeLaunchProfile = true));
    }

    [Theory]
    [InlineData(null, 1)]
    [InlineData(20_000, 2)]
    public async Task Start_EndpointWithoutProxy_NeedsAPortAndOneReplica(int? port, int replicas)
    {
        var builder = DistributedApplication.CreateBuilder(["--Dashboard=none"]);
        builder.AddProject<Missing>("server", o => o.ExcludeLaunchProfile = true)
            .WithEndpoint(port, name: "redis", isProxied: false).WithReplicas(replicas);
        await using var app = builder.Build();

        var refusal = await Assert.ThrowsAsync<DistributedApplicationException>(() => app.StartAsync(TestContext.Current.CancellationToken));

        Assert.Contains("'redis' of resource 'server'", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_MissingAssembly_NamesItAndTheBuild()
    {
        var builder = DistributedApplication.CreateBuilder(["--Dashboard=none"]);
        builder.AddProject<Missing>("worker", o => o.ExcludeLaunchProfile = true);
        await using var app = builder.Build();

        var refusal = await Assert.ThrowsAsync<DistributedApplicationException>(() => app.StartAsync(TestContext.Current.CancellationToken));

        Assert.Contains("'worker'", refusal.Message, StringComparison.Ordinal);
        Assert.Contains(new Missing().AssemblyPath, refusal.Message, StringComparison.Ordinal);
        Assert.Contains($"dotnet build {new Missing().ProjectPath}", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_ServiceEndsBeforeItIsHealthy_FailsWithItsLastLines()
    {
        using var limit = RunningSystem.Limit(TimeSpan.FromSeconds(30));
        var builder = DistributedApplication.CreateBuilder(["--Dashboard=none"]);
        builder.AddProject<NotAProgram>("worker", o => o.ExcludeLaunchProfile = true)
            .WithHttpEndpoint(name: "http")
            .WithHttpHealthCheck("/health", endpointName: "http");
        await using var app = builder.Build();
        await app.StartAsync(limit.Token);

        var failure = await Assert.ThrowsAsync<DistributedApplicationException>(
            () => app.ResourceNotifications.WaitForResourceHealthyAsync("worker", limit.Token));

        Assert.Matches("'worker' failed to start: worker-[a-z]{8} ended with exit code [1-9]", failure.Message);
        Assert.Contains("runtimeconfig", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void StopOrder_ComesToEachAfterItsUsers()
    {
        var model = new Model();
        var builder = DistributedApplication.CreateBuilder(["--Dashboard=none"]);
        var redis = Add("redis-server");
        var worker = Add("worker").WaitFor(redis);
        var gateway = Add("gateway").WaitFor(redis).WithReference(worker);

        Assert.Equal([["gateway"], ["worker"], ["redis-server"]], model.StopOrder().Select(g => g.Select(r => r.Name)));

        IResourceBuilder<ProjectResource> Add(string name)
        {
            var resource = builder.AddProject<Missing>(name, o => o.ExcludeLaunchProfile = true);
            model.Add(resource.Resource);
            return resource;
        }
    }

    private sealed class Missing : IProjectMetadata
    {
        public string ProjectPath => "/nowhere/Worker/Worker.csproj";

        public string AssemblyPath => "/nowhere/Worker/bin/Worker.dll";
    }

    private sealed class NotAProgram : IProjectMetadata
    {
        public string ProjectPath => Path.Combine(AppContext.BaseDirectory, "Library.csproj");

        public string AssemblyPath => typeof(Assert).Assembly.Location;
    }
}
