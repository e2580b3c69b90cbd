using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;

namespace DistributedPatterns.Tests.Soak;

/// <summary>The jobs of a soak, each with the result that it must have: parts of a file to hash or count, and waits that keep a worker busy.</summary>
internal sealed class SoakJobs
{
    private const string Input = "unicode-data";

    private readonly byte[] _file = File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, "inputs", "UnicodeData.txt"));

    /// <summary>Draws a job: its body, and a check of its result.</summary>
    public (object Body, Func<JsonElement, bool> IsRight) Draw(Random random)
    {
        switch (random.Next(10))
        {
            case 0:
                var (offset, length) = Part(random);
                var hash = Convert.ToHexStringLower(SHA256.HashData(_file.AsSpan(offset, length)));
                return (Body("sha256", new { input = Input, offset, length }), result => result.GetProperty("sha256").GetString() == hash);
            case 1:
                (offset, length) = Part(random);
                var lines = _file.AsSpan(offset, length).Count((byte)'\n');
                return (Body("text-count", new { input = Input, offset, length }), result => result.GetProperty("lines").GetInt32() == lines);
            default:
                // Long enough that every kill and every freeze finds some of them in the middle.
                var work = string.Create(CultureInfo.InvariantCulture, $"io:{random.Next(20, 150)}ms");
                return (Body("simulated", work), result => result.GetString() == work);
        }
    }

    private static object Body(string job, object input) => new { job, input };

    private (int Offset, int Length) Part(Random random)
    {
        var length = random.Next(1, 200_000);
        return (random.Next(_file.Length - length), length);
    }
}
