using System.Globalization;
using System.Net;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Members;

/// <summary>Where this process serves, read from the web server once it has started.</summary>
internal sealed class BoundAddresses(IConfiguration configuration, IOptions<MembersOptions> options, IServer? server = null)
{
    /// <summary>Returns the addresses to announce. gRPC is what was bound to GRPC_PORT; when that is 0, what was bound last.</summary>
    public (Uri? Grpc, Uri? Http) Read()
    {
        var bound = (server?.Features.Get<IServerAddressesFeature>()?.Addresses ?? [])
            .Select(address => new Uri(address.Replace("//*", "//[::]", StringComparison.Ordinal).Replace("//+", "//[::]", StringComparison.Ordinal)))
            .ToList();
        Uri? grpc = null;
        if (int.TryParse(configuration["GRPC_PORT"], NumberStyles.None, CultureInfo.InvariantCulture, out var port) && bound.Count > 0)
        {
            grpc = port == 0 ? bound[^1] : bound.Find(address => address.Port == port);
            if (grpc is not null)
                bound.Remove(grpc);
        }
        return (Reachable(grpc), Reachable(bound.FirstOrDefault()));
    }

    private Uri? Reachable(Uri? address)
    {
        if (address is null)
            return null;
        var host = options.Value.Advertise;
        if (string.IsNullOrEmpty(host))
        {
            host = address.Host;
            if (host == "localhost")
                host = "127.0.0.1";
            else if (IPAddress.TryParse(host.Trim('[', ']'), out var ip) && (ip.Equals(IPAddress.Any) || ip.Equals(IPAddress.IPv6Any)))
                host = Dns.GetHostName();
        }
        return new UriBuilder(address.Scheme, host, address.Port).Uri;
    }
}
