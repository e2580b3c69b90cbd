using System.Net.Http.Json;
using System.Net.ServerSentEvents;
using System.Text.Json;
using DistributedPatterns.Diagnostics;

namespace DistributedPatterns.PatternCli.PublishSubscribe;

/// <summary>The retained topic of the gateway: publishes by POST, listens by server-sent events.</summary>
internal sealed class GatewayTopic(Uri gateway) : ITopicClient
{
    private const string Topics = $"/api/publish-subscribe/{Variants.Distributed}/topics";

    private readonly GatewayClient _client = new(gateway);

    public string Where => $"across processes, through {_client.Gateway}";

    public async Task<long> PublishAsync(string subject, string line)
    {
        using var response = await _client.SendAsync(HttpMethod.Post, $"{Topics}/{subject}", JsonContent.Create(line, PublishSubscribeCliJson.Default.String));
        await _client.CheckAsync(response);
        return (await response.Content.ReadFromJsonAsync(PublishSubscribeCliJson.Default.PublishedLine) ?? throw _client.NoGateway("it gave no number")).Sequence;
    }

    public async Task<ITopicStream> OpenAsync(string subjects, string overflow, string? after = null)
    {
        var response = await _client.SendAsync(HttpMethod.Get, $"{Topics}/{subjects}/stream?overflow={overflow}", null, after is null ? [] : [("Last-Event-ID", after)]);
        try
        {
            await _client.CheckAsync(response);
            var stream = new TopicStream(_client, response, await response.Content.ReadAsStreamAsync());
            await stream.BeginAsync();
            return stream;
        }
        catch
        {
            response.Dispose();
            throw;
        }
    }

    public ValueTask DisposeAsync()
    {
        _client.Dispose();
        return default;
    }

    private sealed class TopicStream(GatewayClient client, HttpResponseMessage response, Stream body) : ITopicStream
    {
        private readonly IAsyncEnumerator<SseItem<StreamedEvent>> _events = SseParser
            .Create(body, static (_, data) => JsonSerializer.Deserialize(data, PublishSubscribeCliJson.Default.StreamedEvent)!).EnumerateAsync().GetAsyncEnumerator();

        public long Start { get; private set; }

        /// <summary>Reads the first event: it says where the stream begins.</summary>
        public async Task BeginAsync() => Start = (await NextAsync(CancellationToken.None)).Data.Sequence;

        public async Task<StreamItem> ReadAsync(CancellationToken cancellationToken)
        {
            while (true)
            {
                var next = await NextAsync(cancellationToken);
                if (next.Data is { Payload: null, Missed: null })
                {
                    if (next.EventType == "heartbeat") continue;
                    throw new RunUnavailableException($"The gateway at {client.Gateway} ends the stream: {next.EventType} {next.Data.Reason}");
                }
                return new StreamItem(next.EventId ?? "", next.Data.Sequence, next.Data.Payload?.GetString(), next.Data.Missed ?? 0);
            }
        }

        public async ValueTask DisposeAsync()
        {
            response.Dispose();
            await body.DisposeAsync();
        }

        private async Task<SseItem<StreamedEvent>> NextAsync(CancellationToken cancellationToken)
        {
            try
            {
                return await _events.MoveNextAsync().AsTask().WaitAsync(cancellationToken) ? _events.Current : throw client.NoGateway("it ended the stream");
            }
            catch (Exception error) when (error is HttpRequestException or IOException)
            {
                throw client.Unreachable(error);
            }
        }
    }
}
