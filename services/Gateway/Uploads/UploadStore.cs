using System.Buffers;
using System.Collections.Concurrent;
using System.Globalization;
using System.Security.Cryptography;
using DistributedPatterns.Gateway.Problems;
using DistributedPatterns.Pipeline;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Gateway.Uploads;

/// <summary>Takes uploaded files into the shared data folder and deletes them when nobody needs them any more.</summary>
internal sealed partial class UploadStore(
    PipelineInputs inputs, IOptions<GatewayOptions> options, TimeProvider time, ILogger<UploadStore> logger) : BackgroundService
{
    private const int BlockBytes = 64 * 1024;

    private readonly ConcurrentDictionary<string, Upload> _kept = [];
    private readonly SemaphoreSlim _slots = new(options.Value.MaxUploads);

    /// <summary>Streams a request's body into a file. Whatever goes wrong, no file stays behind.</summary>
    /// <param name="allowed">How large it may be, and what that setting is called; <c>Gateway:MaxUploadBytes</c> unless given.</param>
    /// <exception cref="ProblemException">The body is too large, empty or not text, or too many uploads are under way.</exception>
    public async Task<Upload> ReceiveAsync(HttpContext http, (long Bytes, string Setting)? allowed = null)
    {
        var (limit, setting) = allowed ?? (options.Value.MaxUploadBytes, "Gateway:MaxUploadBytes");
        if (http.Request.ContentLength > limit) throw TooLarge(http.Request.ContentLength, limit, setting);
        if (http.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } size) size.MaxRequestBodySize = limit;
        if (!_slots.Wait(0))
        {
            throw new ProblemException(ProblemKind.Full,
                $"{options.Value.MaxUploads} of {options.Value.MaxUploads} uploads are under way. Try again later, or raise Gateway:MaxUploads.");
        }

        var part = Path.Combine(inputs.Uploads, $"{Guid.NewGuid():N}.part");
        try
        {
            Directory.CreateDirectory(inputs.Uploads);
            var name = await CopyAsync(http.Request.Body, part, limit, setting, http.RequestAborted);
            var upload = new Upload(name, Path.Combine(inputs.Uploads, name));
            _kept[upload.Path] = upload;
            File.Move(part, upload.Path);
            return upload;
        }
        catch (InvalidDataException notText)
        {
            throw new ProblemException(ProblemKind.NotText, notText.Message, notText);
        }
        catch (BadHttpRequestException tooLarge) when (tooLarge.StatusCode == StatusCodes.Status413PayloadTooLarge)
        {
            throw TooLarge(null, limit, setting);
        }
        finally
        {
            _slots.Release();
            File.Delete(part); // gone already when all went well
        }
    }

    /// <summary>Deletes an upload that no run needs any more.</summary>
    public void Delete(Upload upload)
    {
        try
        {
            File.Delete(upload.Path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            LogKept(logger, upload.Name, error);
        }
        _kept.TryRemove(upload.Path, out _);
    }

    /// <summary>Gives an upload another place, where it is nobody's to delete; a file that is there is replaced.</summary>
    public void MoveTo(Upload upload, string path)
    {
        File.Move(upload.Path, path, overwrite: true);
        _kept.TryRemove(upload.Path, out _);
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.Value.UploadRetention / 4, time);
        do
        {
            DeleteStale();
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    private void DeleteStale()
    {
        try
        {
            var folder = new DirectoryInfo(inputs.Uploads);
            if (!folder.Exists) return;
            // Several gateways share the folder: what is young may be another one's.
            var before = time.GetUtcNow().UtcDateTime - options.Value.UploadRetention;
            foreach (var file in folder.EnumerateFiles())
            {
                if (file.LastWriteTimeUtc >= before || _kept.ContainsKey(file.FullName)) continue;
                file.Delete();
                LogStale(logger, file.Name);
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            LogKept(logger, inputs.Uploads, error);
        }
    }

    private static async Task<string> CopyAsync(Stream body, string path, long limit, string setting, CancellationToken cancellationToken)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var scan = new TextScan();
        var block = ArrayPool<byte>.Shared.Rent(BlockBytes);
        long total = 0;
        try
        {
            await using var file = new FileStream(path, new FileStreamOptions
            {
                Mode = FileMode.CreateNew,
                Access = FileAccess.Write,
                BufferSize = 0,
                Options = FileOptions.Asynchronous,
            });
            while (await body.ReadAsync(block, cancellationToken) is > 0 and var read)
            {
                total += read;
                if (total > limit) throw TooLarge(null, limit, setting);
                var bytes = block.AsMemory(0, read);
                scan.Add(bytes.Span);
                hash.AppendData(bytes.Span);
                await file.WriteAsync(bytes, cancellationToken);
            }
            scan.End();
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(block);
        }
        if (total == 0) throw new ProblemException(ProblemKind.EmptyBody, "The uploaded file is empty.");
        return Upload.NameOf(hash.GetHashAndReset());
    }

    private static ProblemException TooLarge(long? length, long limit, string setting) => new(ProblemKind.BodyTooLarge, string.Create(CultureInfo.InvariantCulture,
        $"The upload has {(length is { } n ? $"{n:N0}" : "more")} bytes{(length is null ? " than allowed" : "")}; the limit is {limit:N0} bytes ({setting})."));

    [LoggerMessage(LogLevel.Warning, "Could not delete {Upload}")]
    private static partial void LogKept(ILogger logger, string upload, Exception error);

    [LoggerMessage(LogLevel.Information, "Deleted the stale upload {Upload}")]
    private static partial void LogStale(ILogger logger, string upload);
}
