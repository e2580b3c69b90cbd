using System.Net;
using System.Threading.RateLimiting;
using DistributedPatterns.RateLimiting;
using DistributedPatterns.Tests.Support;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace DistributedPatterns.Tests.RateLimiting;

/// <summary>ASP.NET Core's own middleware over these limiters.</summary>
public sealed class MiddlewareTests(SharedRedis shared)
{
    private static CancellationToken TestStop => TestContext.Current.CancellationToken;

    [Theory(Timeout = 60_000)]
    [InlineData("local")]
    [InlineData("redis")]
    [InlineData("redis concurrency")]
    public async Task UseRateLimiter_WithOneOfOurs_AdmitsDeniesAndTellsRetryAfter(string kind)
    {
        await using var redis = await (await shared.OfAsync(RedisKind.Garnet)).ConnectAsync();
        await using var store = new RedisLimitStore(redis, new RedisLimitStoreOptions { AnswerLimit = TimeSpan.FromSeconds(20) });
        var where = new RedisLimitOptions { Name = SharedRedis.NewTag(), WhenDown = OutagePolicy.Closed };
        var rule = new BucketOptions { Permits = 1, Period = TimeSpan.FromMinutes(1), Burst = 2 };
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.WebHost.UseKestrelCore().UseUrls("http://127.0.0.1:0");
        builder.Services.AddRouting().AddRateLimiter(options =>
        {
            options.RejectionStatusCode = StatusCodes.Status429TooManyRequests;
            options.OnRejected = (context, _) =>
            {
                context.HttpContext.Response.Headers["X-Retry"] = context.Lease.GetRetryAfter()?.TotalSeconds.ToString("F0", System.Globalization.CultureInfo.InvariantCulture);
                return default;
            };
            options.AddPolicy("ours", _ => RateLimitPartition.Get<string>("all", _ => kind switch
            {
                "local" => new LocalGcraRateLimiter(rule),
                "redis" => new RedisGcraRateLimiter(store, where, new RedisGcraOptions { Limits = { rule } }),
                _ => new RedisConcurrencyRateLimiter(store, where, new RedisConcurrencyOptions { Permits = 2 }),
            }));
        });
        await using var app = builder.Build();
        app.UseRateLimiter();
        var hold = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        app.MapGet("/", () => kind == "redis concurrency" ? hold.Task : Task.CompletedTask).RequireRateLimiting("ours");
        await app.StartAsync(TestStop);
        using var http = new HttpClient { BaseAddress = new Uri(app.Urls.Single()) };

        var replies = new List<Task<HttpResponseMessage>>();
        for (var i = 0; i < 3; i++) replies.Add(http.GetAsync("/", TestStop));
        using var denied = await await Task.WhenAny(kind == "redis concurrency" ? replies : [AllAsync(replies)]);

        Assert.Equal(HttpStatusCode.TooManyRequests, denied.StatusCode);
        var retry = denied.Headers.TryGetValues("X-Retry", out var values) ? values.Single() : "";
        if (kind == "redis concurrency") Assert.Equal("", retry);
        else Assert.InRange(int.Parse(retry, System.Globalization.CultureInfo.InvariantCulture), 30, 60);
        hold.TrySetResult();
        await Task.WhenAll(replies);
        Assert.Equal(2, replies.Count(reply => reply.Result.StatusCode == HttpStatusCode.OK));

        static async Task<HttpResponseMessage> AllAsync(List<Task<HttpResponseMessage>> replies) =>
            (await Task.WhenAll(replies)).Single(reply => reply.StatusCode != HttpStatusCode.OK);
    }
}
