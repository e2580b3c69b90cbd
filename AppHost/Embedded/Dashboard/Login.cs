using System.Diagnostics.CodeAnalysis;
using System.Security.Claims;
using Aspire.Hosting.Dashboard.Telemetry;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace Aspire.Hosting.Dashboard;

/// <summary>Lets in who has the run's token, and keeps out other sites in the same browser.</summary>
/// <remarks>
/// Everything but styles, scripts and the login itself needs the cookie that the token buys. The Host header must name the
/// loopback, which stops names that were made to resolve there; the Origin, where a browser sends one, must be the
/// dashboard's own, since a cookie knows no ports and any other local site shares it.
/// </remarks>
internal static class Login
{
    private const string OtlpPath = "/opentelemetry.proto.collector";

    public static void AddLogin(this IServiceCollection services, int port)
    {
        services.AddHostFiltering(hosts => hosts.AllowedHosts = ["localhost", "127.0.0.1", "[::1]"]);
        RunKeys.AddTo(services);
        services.AddAntiforgery(form => form.Cookie.Name = $"dashboard-form-{port}");
        services.AddAuthorization(all => all.FallbackPolicy = new AuthorizationPolicyBuilder().RequireAuthenticatedUser().Build());
        services.AddAuthentication(CookieAuthenticationDefaults.AuthenticationScheme).AddCookie(cookie =>
        {
            // Two runs side by side are one host to a browser.
            cookie.Cookie.Name = $"dashboard-{port}";
            cookie.Cookie.HttpOnly = true;
            cookie.Cookie.SameSite = SameSiteMode.Strict;
            cookie.LoginPath = "/login";
            cookie.ReturnUrlParameter = "returnUrl";
            cookie.Events.OnRedirectToLogin = context =>
            {
                if (context.Request.Headers["Sec-Fetch-Mode"] is not ([] or ["navigate"]) || IsNoPage(context.Request))
                {
                    context.Response.StatusCode = StatusCodes.Status401Unauthorized;
                }
                else
                {
                    context.Response.Redirect(context.RedirectUri);
                }

                return Task.CompletedTask;
            };
        });
    }

    public static void UseLogin(this WebApplication app, int otlpPort)
    {
        app.UseExceptionHandler("/error");
        app.UseHostFiltering();
        app.Use((context, next) =>
        {
            var (request, response) = (context.Request, context.Response);
            if ((context.Connection.LocalPort == otlpPort) != (request.Path.Value?.StartsWith(OtlpPath, StringComparison.Ordinal) is true))
            {
                response.StatusCode = StatusCodes.Status404NotFound;
                return Task.CompletedTask;
            }

            if (request.Headers.Origin is { Count: > 0 } origin && origin != $"http://{request.Host}")
            {
                response.StatusCode = StatusCodes.Status403Forbidden;
                return Task.CompletedTask;
            }

            response.Headers.ContentSecurityPolicy =
                "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'";
            response.Headers.XContentTypeOptions = "nosniff";
            response.Headers["Referrer-Policy"] = "same-origin"; // with none at all, a form of our own would come from the origin "null"
            return next(context);
        });
        app.UseRouting();
        app.UseAuthentication();
        app.UseAuthorization();
        app.UseAntiforgery();
    }

    public static void MapLogin(this IEndpointRouteBuilder app, string token)
    {
        app.MapGet("/login", (HttpContext http, string? t, string? returnUrl) => EnterAsync(http, t, returnUrl)).AllowAnonymous();
        app.MapPost("/login", (HttpContext http, [FromForm] string? t, [FromForm] string? returnUrl) => EnterAsync(http, t ?? "", returnUrl)).AllowAnonymous();
        app.MapGet("/error", () => new RazorComponentResult<ErrorPage>()).AllowAnonymous();

        async Task<IResult> EnterAsync(HttpContext http, string? given, string? returnUrl)
        {
            if (given is not null && OtlpReceiver.IsKey(given.Trim(), token))
            {
                // A form's token is bound to a name, so there has to be one.
                await http.SignInAsync(new ClaimsPrincipal(new ClaimsIdentity([new(ClaimTypes.Name, "token")], "token")));
            }
            else if (given is not null || http.User.Identity is not { IsAuthenticated: true })
            {
                http.Response.Headers.CacheControl = "no-store";
                return new RazorComponentResult<LoginPage>(new { ReturnUrl = returnUrl, IsWrong = given is not null })
                {
                    StatusCode = given is null ? StatusCodes.Status200OK : StatusCodes.Status401Unauthorized,
                };
            }

            return Results.LocalRedirect(IsLocal(returnUrl) ? returnUrl : "/");
        }
    }

    /// <summary>Tells whether a browser would stay on this site: a path, and none that browsers read as a host.</summary>
    internal static bool IsLocal([NotNullWhen(true)] string? url) =>
        url is ['/', ..] and not ['/', '/' or '\\', ..] && !url.Any(char.IsControl);

    private static bool IsNoPage(HttpRequest request) =>
        !HttpMethods.IsGet(request.Method) || request.Path.StartsWithSegments("/_blazor") || request.Path.StartsWithSegments("/consolelogs/download");
}
