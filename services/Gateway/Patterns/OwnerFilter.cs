using System.Diagnostics;
using System.Net;
using DistributedPatterns.Gateway.Problems;
using DistributedPatterns.Members;
using Microsoft.Extensions.Options;
using Yarp.ReverseProxy.Forwarder;

namespace DistributedPatterns.Gateway.Patterns;

/// <summary>Sends a request for something of a channel variant to the gateway that has it: the id in the route begins with that gateway's.</summary>
internal sealed class OwnerFilter : IEndpointFilter, IDisposable
{
    private const string ForwardedHeader = "X-Forwarded-By-Gateway";
    private static readonly ForwarderRequestConfig s_config = new() { ActivityTimeout = TimeSpan.FromSeconds(100) };

    private readonly IHttpForwarder _forwarder;
    private readonly IServiceProvider _services;
    private readonly MembersOptions _self;
    private readonly string _prefix;
    private readonly Transformer _transformer;
    private readonly HttpMessageInvoker _client = new(new SocketsHttpHandler
    {
        UseProxy = false,
        UseCookies = false,
        AllowAutoRedirect = false,
        AutomaticDecompression = DecompressionMethods.None,
        ActivityHeadersPropagator = new ReverseProxyPropagator(DistributedContextPropagator.Current),
        ConnectTimeout = TimeSpan.FromSeconds(2),
    });

    public OwnerFilter(IHttpForwarder forwarder, IServiceProvider services, IOptions<MembersOptions> self)
    {
        _forwarder = forwarder;
        _services = services;
        _self = self.Value;
        _prefix = PrefixOf(_self);
        _transformer = new Transformer(_self.Id);
    }

    /// <summary>Returns what the ids begin with that a gateway gives out, whether or not Redis knows this gateway yet.</summary>
    public static string PrefixOf(MembersOptions self) => self.Id + ".";

    public async ValueTask<object?> InvokeAsync(EndpointFilterInvocationContext context, EndpointFilterDelegate next)
    {
        var http = context.HttpContext;
        var id = (string)http.Request.RouteValues["id"]!;
        var owner = id.LastIndexOf('.') is > 0 and var dot ? id[..dot] : null;
        if (owner is null || id.StartsWith(_prefix, StringComparison.Ordinal)) return await next(context);
        // Looked up here, not in the constructor: members live in Redis, and what is ours does not need it.
        var member = http.Request.Headers.ContainsKey(ForwardedHeader) ? null
            : _services.GetService<IMembers>()?.Live(_self.Role).FirstOrDefault(member => member.Id == owner);
        if (member?.Http is null)
        {
            throw new ProblemException(ProblemKind.Elsewhere, $"'{Text.Shorten(id)}' was on gateway '{Text.Shorten(owner)}', which is not alive; this is '{_self.Id}'. It ended with its gateway.");
        }
        await _forwarder.SendAsync(http, member.Http.GetLeftPart(UriPartial.Authority), _client, s_config, _transformer, member.Left);
        return Results.Empty;
    }

    public void Dispose() => _client.Dispose();

    // A mark on what was forwarded once, or two gateways that disagree on who is alive would send it to and fro.
    private sealed class Transformer(string self) : HttpTransformer
    {
        public override async ValueTask TransformRequestAsync(
            HttpContext httpContext, HttpRequestMessage proxyRequest, string destinationPrefix, CancellationToken cancellationToken)
        {
            await base.TransformRequestAsync(httpContext, proxyRequest, destinationPrefix, cancellationToken);
            proxyRequest.Headers.TryAddWithoutValidation(ForwardedHeader, self);
            proxyRequest.Headers.Host = null;
        }
    }
}
