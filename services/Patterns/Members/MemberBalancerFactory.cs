using Grpc.Core;
using Grpc.Net.Client.Balancer;

namespace DistributedPatterns.Members;

/// <summary>Round robin that lets calls wait, within their deadlines, while nobody is alive.</summary>
/// <remarks>Plain round robin fails a call at once when the resolver has no address; here the first member may still be on its way.</remarks>
internal sealed class MemberBalancerFactory : LoadBalancerFactory
{
    public const string Policy = "members_round_robin";

    private readonly RoundRobinBalancerFactory _roundRobin = new();

    public override string Name => Policy;

    public override LoadBalancer Create(LoadBalancerOptions options)
    {
        var patience = new Patience(options.Controller);
        return new MemberBalancer(patience, _roundRobin.Create(new LoadBalancerOptions(patience, options.LoggerFactory, options.Configuration)));
    }

    private sealed class MemberBalancer(Patience patience, LoadBalancer inner) : LoadBalancer
    {
        public override void UpdateChannelState(ChannelState state)
        {
            patience.NobodyAlive = state.Status.StatusCode == StatusCode.OK && state.Addresses is not { Count: > 0 };
            inner.UpdateChannelState(state);
            if (patience.NobodyAlive)
                patience.Wait();
        }

        public override void RequestConnection() => inner.RequestConnection();

        protected override void Dispose(bool disposing)
        {
            if (disposing)
                inner.Dispose();
            base.Dispose(disposing);
        }
    }

    private sealed class Patience(IChannelControlHelper channel) : IChannelControlHelper
    {
        public bool NobodyAlive { get; set; }

        public Subchannel CreateSubchannel(SubchannelOptions options) => channel.CreateSubchannel(options);

        public void RefreshResolver() => channel.RefreshResolver();

        public void UpdateState(BalancerState state)
        {
            if (NobodyAlive)
                Wait();
            else
                channel.UpdateState(state);
        }

        public void Wait() => channel.UpdateState(new BalancerState(ConnectivityState.Connecting, new WaitingPicker()));
    }

    private sealed class WaitingPicker : SubchannelPicker
    {
        public override PickResult Pick(PickContext context) => PickResult.ForQueue();
    }
}
