using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using DistributedPatterns.Tests.Faults;

namespace DistributedPatterns.Tests.Soak;

/// <summary>Counts the words of 200 MB, with a pause in which the machine is the others': the samples many times, so that every line of the result is known before.</summary>
internal sealed class SoakMapReduce : PatternLoad
{
    private const string Path = "/api/map-reduce/distributed";
    private const string Input = "soak.txt";
    private const int Bytes = 200_000_000;
    private const int PauseMilliseconds = 60_000;

    private readonly byte[] _block = [.. Sample("us-constitution.txt"), .. Sample("UnicodeData.txt")];
    private readonly int _times;
    private readonly string _expected;

    public SoakMapReduce(PatientClient client)
        : base(client)
    {
        _times = Bytes / _block.Length;
        _expected = HashOfCounts();
    }

    /// <summary>Gets how many tasks were done again because a process, or what it had mapped, was lost.</summary>
    public int Repeated { get; private set; }

    /// <summary>Uploads the input.</summary>
    public async Task PutInputAsync(HttpClient gateway, CancellationToken cancellationToken)
    {
        using var content = new RepeatedContent(_block, _times);
        using var response = await gateway.PutAsync(new Uri($"{Path}/inputs/{Input}", UriKind.Relative), content, cancellationToken);
        Assert.True(response.StatusCode == HttpStatusCode.Created, await response.Content.ReadAsStringAsync(cancellationToken));
    }

    public override async Task RunAsync(Task over, CancellationToken cancellationToken)
    {
        while (Done == 0 || !over.IsCompleted)
        {
            var body = new { job = "word-count", input = Input, splitBytes = 4_000_000, mappers = 4, reducers = 4 };
            var (_, started) = await Client.SendAsync(HttpMethod.Post, $"{Path}/jobs", body, $"soak-{Done}", [HttpStatusCode.Accepted], cancellationToken);
            var status = started;
            do status = await Client.GetAsync($"{Path}/jobs/{started.GetProperty("id")}?wait=5s", cancellationToken);
            while (status.GetProperty("state").GetString() is "Waiting" or "Mapping" or "Reducing");
            Assert.True(status.GetProperty("state").GetString() == "Completed", status.GetRawText());
            var report = status.GetProperty("report");
            Assert.True(report.GetProperty("sha256").GetString() == _expected, status.GetRawText());
            Repeated += report.GetProperty("repeated").GetInt32();
            Count();
            await Task.WhenAny(over, PauseAsync(PauseMilliseconds, cancellationToken));
        }
    }

    public override Task CheckAsync(string fault, CancellationToken cancellationToken)
    {
        Assert.True(Repeated > 0, "no task was done again: no map-reduce was put to the test");
        return Task.CompletedTask;
    }

    private static byte[] Sample(string name) => [.. File.ReadAllBytes(System.IO.Path.Combine(AppContext.BaseDirectory, "inputs", name)), (byte)'\n'];

    private string HashOfCounts()
    {
        var words = Encoding.Latin1.GetString(_block).Split([.. Enumerable.Range(0, 256).Select(code => (char)code).Where(letter => !char.IsAsciiLetter(letter))], StringSplitOptions.RemoveEmptyEntries);
        var lines = words.CountBy(word => word.ToLowerInvariant()).OrderBy(word => word.Key, StringComparer.Ordinal)
            .Select(word => string.Create(CultureInfo.InvariantCulture, $"{word.Key}\t{(long)word.Value * _times}\n"));
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(string.Concat(lines))));
    }

    /// <summary>A body that is the same block many times, and never in memory as a whole.</summary>
    private sealed class RepeatedContent : HttpContent
    {
        private readonly byte[] _block;
        private readonly int _times;

        public RepeatedContent(byte[] block, int times)
        {
            (_block, _times) = (block, times);
            Headers.ContentType = new MediaTypeHeaderValue("text/plain");
        }

        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            for (var time = 0; time < _times; time++) await stream.WriteAsync(_block);
        }

        protected override bool TryComputeLength(out long length)
        {
            length = (long)_block.Length * _times;
            return true;
        }
    }
}
