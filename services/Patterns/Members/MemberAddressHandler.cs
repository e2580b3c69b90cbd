namespace DistributedPatterns.Members;

/// <summary>Ends a request when the member it went to has left: a frozen process keeps its connections open for ever.</summary>
/// <remarks>gRPC reports it as UNAVAILABLE. It covers a call until its response begins; a longer stream links <see cref="Member.Left"/>.</remarks>
internal sealed class MemberAddressHandler(Func<Uri, Member?> find, HttpMessageHandler inner) : DelegatingHandler(inner)
{
    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        // The balancer has picked by now: the request names the member's own address.
        if (request.RequestUri is not { } uri || find(uri) is not { } member)
            return await base.SendAsync(request, cancellationToken).ConfigureAwait(false);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, member.Left);
        try
        {
            return await base.SendAsync(request, either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException e) when (member.Left.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            // gRPC takes an I/O error at the bottom for UNAVAILABLE and anything else for INTERNAL.
            throw new HttpRequestException($"Member '{member.Id}' left while it had the call.", new IOException("The member left.", e));
        }
        catch (HttpRequestException e) when (e.InnerException is HttpProtocolException)
        {
            // Keep-alive pings may find a frozen member before its lease runs out: the same case, the same status. gRPC searches
            // the whole chain, so the protocol error goes on as text only.
            throw new HttpRequestException($"Member '{member.Id}' stopped answering while it had the call.", new IOException(e.Message));
        }
    }
}
