using System.Globalization;

namespace DistributedPatterns.Tests.Soak;

/// <summary>How long a soak is and which of all soaks, from the environment.</summary>
/// <param name="Length"><c>SOAK_MINUTES</c>: 0.5 to 1,440, 10 unless set.</param>
/// <param name="Seed"><c>SOAK_SEED</c>: the same seed is the same order of jobs, kills and freezes; another one each time unless set.</param>
internal sealed record SoakOptions(TimeSpan Length, int Seed)
{
    private const int JobsAMinute = 10_000;

    public int Jobs => (int)(Length.TotalMinutes * JobsAMinute);

    public int WorkerKills => Scaled(52);

    public int Freezes => Scaled(10);

    public int ReducerKills => Scaled(8);

    public int ReducerFreezes => Scaled(4);

    public int GatewayKills => Scaled(5);

    public int ProducerKills => Scaled(3);

    public int RedisKills => Scaled(4);

    public static SoakOptions Read()
    {
        var minutes = Number("SOAK_MINUTES", 10);
        if (minutes is < 0.5 or > 1_440) throw new InvalidOperationException($"SOAK_MINUTES is {minutes}: give 0.5 to 1440.");
        return new SoakOptions(TimeSpan.FromMinutes(minutes), (int)Number("SOAK_SEED", Random.Shared.Next(100_000)));
    }

    private int Scaled(int inTenMinutes) => Math.Max(1, (int)Math.Round(inTenMinutes * Length.TotalMinutes / 10));

    private static double Number(string name, double unless) =>
        Environment.GetEnvironmentVariable(name) is not { Length: > 0 } text ? unless
        : double.TryParse(text, CultureInfo.InvariantCulture, out var number) ? number
        : throw new InvalidOperationException($"{name} is '{text}', which is no number.");
}
