using DistributedPatterns.Members;
using DistributedPatterns.Tests.Members;
using Grpc.Core;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Tests.MemberProcess;

internal sealed class EchoService(IOptions<MembersOptions> self) : Echo.EchoBase
{
    public override async Task<WhoReply> Who(WhoRequest request, ServerCallContext context)
    {
        if (request.Hold)
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, context.CancellationToken);
        return new WhoReply { Member = self.Value.Id };
    }
}
