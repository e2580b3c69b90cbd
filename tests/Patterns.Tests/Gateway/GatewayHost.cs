using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using DistributedPatterns.Gateway;
using DistributedPatterns.Members;
using DistributedPatterns.Payloads;
using DistributedPatterns.Pipeline;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using StackExchange.Redis;

namespace DistributedPatterns.Tests.Gateway;

/// <summary>A gateway on a real socket. Without Redis and without other members unless the test adds them.</summary>
internal sealed class GatewayHost : IAsyncDisposable
{
    public const string Runs = "/api/pipeline/channel/runs";

    private readonly WebApplication _app;
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("gateway-tests-");

    private GatewayHost(string id, Action<IServiceCollection>? configure, (string Name, string Value)[] settings)
    {
        Id = id;
        var builder = WebApplication.CreateEmptyBuilder(new() { EnvironmentName = settings.FirstOrDefault(setting => setting.Name == "Environment").Value });
        // An upload that a test leaves half done stays so for as long as the test needs.
        builder.WebHost.UseKestrelCore().ConfigureKestrel(options => options.Limits.MinRequestBodyDataRate = null).UseUrls("http://127.0.0.1:0");
        builder.Configuration["Data:Path"] = _folder.FullName;
        foreach (var (name, value) in settings) builder.Configuration[name] = value;
        builder.Services.AddRouting().AddSingleton<ILoggerProvider>(Log);
        builder.Services.Configure<MembersOptions>(options => (options.Id, options.Role) = (id, "gateway"));
        builder.Services.AddGateway().AddPipeline(_ => Gated());
        configure?.Invoke(builder.Services);
        builder.Services.TryAddSingleton<IMembers>(new KnownMembers());
        builder.Services.TryAddSingleton<IConnectionMultiplexer>(_ => throw new RedisException("There is no Redis in this test."));
        _app = builder.Build();
        _app.Use(async (http, next) =>
        {
            Arrived.Writer.TryWrite(http.Request.Path);
            try
            {
                await next(http);
            }
            finally
            {
                Answered.Writer.TryWrite(http.Response.StatusCode);
            }
        });
        _app.MapGateway();
    }

    public string Id { get; }

    /// <summary>Opens the source of the pipeline <c>gated</c>, which gives 1 at once and waits here before 2.</summary>
    public TaskCompletionSource Gate { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public HttpClient Http { get; } = new() { Timeout = TimeSpan.FromSeconds(60) };

    public ErrorLog Log { get; } = new();

    /// <summary>Gets the paths of the requests, when they come in.</summary>
    public Channel<string> Arrived { get; } = Channel.CreateUnbounded<string>();

    /// <summary>Gets the status codes of the replies, when they are done.</summary>
    public Channel<int> Answered { get; } = Channel.CreateUnbounded<int>();

    public Uri Address => new(_app.Urls.Single());

    public IServiceProvider Services => _app.Services;

    /// <summary>Gets the files that uploads have left, unfinished ones included.</summary>
    public IReadOnlyList<string> UploadedFiles =>
        Path.Combine(_folder.FullName, "uploads") is var uploads && Directory.Exists(uploads) ? Directory.GetFiles(uploads) : [];

    public static Task<GatewayHost> StartAsync(params (string, string)[] settings) => StartAsync("gateway-here", null, settings);

    public static async Task<GatewayHost> StartAsync(string id, Action<IServiceCollection>? configure, params (string, string)[] settings)
    {
        var host = new GatewayHost(id, configure, settings);
        await host._app.StartAsync(TestContext.Current.CancellationToken);
        host.Http.BaseAddress = host.Address;
        return host;
    }

    public Task<HttpResponseMessage> StartRunAsync(string pipeline, string input, string? key = null, string variant = "channel") =>
        PostAsync($"/api/pipeline/{variant}/runs", JsonContent.Create(new { pipeline, input }), "application/json", key);

    public Task<HttpResponseMessage> UploadAsync(HttpContent body, string pipeline = "unicode", string? key = null) =>
        PostAsync($"{Runs}?pipeline={pipeline}", body, "text/plain", key);

    public Task<HttpResponseMessage> PostAsync(string path, HttpContent? body, string? type, string? key = null)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = body };
        if (body is not null) body.Headers.ContentType = type is null ? null : MediaTypeHeaderValue.Parse(type);
        if (key is not null) request.Headers.Add("Idempotency-Key", key);
        return Http.SendAsync(request, TestContext.Current.CancellationToken);
    }

    public async Task<JsonObject> GetAsync(string path) =>
        (await Http.GetFromJsonAsync<JsonObject>(path, TestContext.Current.CancellationToken))!;

    /// <summary>Waits for the end of a run that was just started.</summary>
    public Task<JsonObject> EndOfAsync(HttpResponseMessage started) => GetAsync($"{started.Headers.Location}?wait=30s");

    public Task<JsonObject> StatsAsync() => GetAsync("/api/pipeline/channel/stats");

    public Task StopAsync() => _app.StopAsync(TestContext.Current.CancellationToken);

    public async ValueTask DisposeAsync()
    {
        Gate.TrySetResult();
        Http.Dispose();
        await _app.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    private PipelineDefinition<EchoSummary> Gated() => PipelineDefinition.Named("gated")
        .From("wait", PayloadCodec.Packed<int>(), (_, cancellationToken) => Items(cancellationToken))
        .Into("sum", PayloadCodec.Packed<int>(), () => new List<int>(), (list, item) => list.Add(item),
            list => new EchoSummary(list.Count, list.Sum()), PipelineScenarioJson.Default.EchoSummary);

    private async IAsyncEnumerable<int> Items([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        yield return 1;
        await Gate.Task.WaitAsync(cancellationToken);
        yield return 2;
    }
}
