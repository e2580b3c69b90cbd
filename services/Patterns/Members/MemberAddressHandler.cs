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
            throw new HttpRequestException($"Member '{member.Id}' left while it had the call.", e);
        }
    }
}
