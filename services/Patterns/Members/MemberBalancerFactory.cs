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

    public override LoadBalancer Create(LoadBalancerOptions options) => new MemberBalancer(_roundRobin, options);

    private sealed class MemberBalancer(RoundRobinBalancerFactory roundRobin, LoadBalancerOptions options) : LoadBalancer
    {
        private LoadBalancer? _living;

        public override void UpdateChannelState(ChannelState state)
        {
            if (state.Status.StatusCode == StatusCode.OK && state.Addresses is not { Count: > 0 })
            {
                // Round robin would keep its connections to those that left, frozen ones too: end it, begin anew with the next.
                _living?.Dispose();
                _living = null;
                options.Controller.UpdateState(new BalancerState(ConnectivityState.Connecting, new WaitingPicker()));
                return;
            }
            _living ??= roundRobin.Create(new LoadBalancerOptions(new Unavailability(options.Controller), options.LoggerFactory, options.Configuration));
            _living.UpdateChannelState(state);
        }

        public override void RequestConnection() => _living?.RequestConnection();

        protected override void Dispose(bool disposing)
        {
            if (disposing)
                _living?.Dispose();
            base.Dispose(disposing);
        }
    }

    /// <summary>Names the failure of every connection UNAVAILABLE: round robin says INTERNAL when one fails while the set changes.</summary>
    private sealed class Unavailability(IChannelControlHelper channel) : IChannelControlHelper
    {
        public Subchannel CreateSubchannel(SubchannelOptions options) => channel.CreateSubchannel(options);

        public void RefreshResolver() => channel.RefreshResolver();

        public void UpdateState(BalancerState state) => channel.UpdateState(state.ConnectivityState == ConnectivityState.TransientFailure
            ? new BalancerState(state.ConnectivityState, new UnavailablePicker(state.Picker))
            : state);
    }

    private sealed class WaitingPicker : SubchannelPicker
    {
        public override PickResult Pick(PickContext context) => PickResult.ForQueue();
    }

    private sealed class UnavailablePicker(SubchannelPicker inner) : SubchannelPicker
    {
        public override PickResult Pick(PickContext context)
        {
            var result = inner.Pick(context);
            return result.Type == PickResultType.Fail
                ? PickResult.ForFailure(new Status(StatusCode.Unavailable, $"No living member can be reached. {result.Status.Detail}", result.Status.DebugException))
                : result;
        }
    }
}
