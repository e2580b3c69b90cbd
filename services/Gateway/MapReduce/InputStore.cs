using DistributedPatterns.Gateway.Problems;
using DistributedPatterns.Gateway.Uploads;
using DistributedPatterns.MapReduce;
using Microsoft.Extensions.Options;

namespace DistributedPatterns.Gateway.MapReduce;

/// <summary>The files that callers put among the inputs: by name in one folder of the shared data folder, until they are deleted.</summary>
internal sealed class InputStore(MapReduceInputs inputs, UploadStore uploads, IOptions<GatewayOptions> options)
{
    private readonly Lock _gate = new();

    /// <summary>Streams a request's body to disk; it is an input once all of it is there.</summary>
    /// <exception cref="ProblemException">The name or the body is not accepted, or there is no room.</exception>
    public async Task<InputReply> PutAsync(string name, HttpContext http)
    {
        CheckName(name);
        TextBody.Check(http.Request);
        CheckRoom(name, http.Request.ContentLength ?? 0);
        var upload = await uploads.ReceiveAsync(http, (options.Value.MaxInputBytes, "Gateway:MaxInputBytes"));
        try
        {
            var bytes = new FileInfo(upload.Path).Length;
            lock (_gate) // so that two that come together do not both take the last room
            {
                CheckRoom(name, bytes);
                Directory.CreateDirectory(inputs.Folder);
                uploads.MoveTo(upload, Path.Combine(inputs.Folder, name));
            }
            return new InputReply(name, bytes);
        }
        catch
        {
            uploads.Delete(upload);
            throw;
        }
    }

    public InputsReply List()
    {
        var files = Files().Select(file => new InputReply(file.Name, file.Length)).OrderBy(file => file.Name, StringComparer.Ordinal).ToArray();
        return new InputsReply(files, files.Sum(file => file.Bytes), options.Value.MaxInputsBytes);
    }

    /// <exception cref="ProblemException">There is no such file.</exception>
    public void Delete(string name)
    {
        CheckName(name);
        var path = Path.Combine(inputs.Folder, name);
        if (!File.Exists(path)) throw new ProblemException(ProblemKind.UnknownInput, $"There is no file '{name}' among the inputs. GET inputs lists them.");
        File.Delete(path);
    }

    private void CheckName(string name)
    {
        if (!inputs.IsFree(name))
            throw new ProblemException(ProblemKind.InvalidParameter, $"'{Text.Shorten(name)}' is no name for an input: 1 to 100 letters, digits, '.', '-' and '_', no dot first, and not the name of a sample.");
    }

    private void CheckRoom(string name, long bytes)
    {
        var others = Files().Where(file => file.Name != name).Sum(file => file.Length);
        if (others + bytes > options.Value.MaxInputsBytes)
        {
            throw new ProblemException(ProblemKind.Full,
                $"The inputs have {others:N0} of {options.Value.MaxInputsBytes:N0} bytes (Gateway:MaxInputsBytes), and {bytes:N0} more are too many. Delete some with DELETE inputs/{{name}}.");
        }
    }

    private FileInfo[] Files()
    {
        var folder = new DirectoryInfo(inputs.Folder);
        return folder.Exists ? folder.GetFiles() : [];
    }
}
