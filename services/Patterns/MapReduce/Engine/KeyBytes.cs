using System.Buffers.Binary;
using System.Numerics;

namespace DistributedPatterns.MapReduce.Engine;

/// <summary>Compares and hashes keys. The hash is the same in every process: it decides which partition a key belongs to.</summary>
internal static class KeyBytes
{
    private const ulong Multiplier = 0x9E37_79B9_7F4A_7C15;

    /// <summary>Returns the first eight bytes as a number that orders as they do. Up to eight bytes, prefix and length are the key.</summary>
    public static ulong Prefix(ReadOnlySpan<byte> key)
    {
        if (key.Length >= 8) return BinaryPrimitives.ReadUInt64BigEndian(key);
        if (key.Length >= 4)
        {
            // The last four bytes overlap the first four; those that are known already fall out at the top.
            var last = (ulong)BinaryPrimitives.ReadUInt32BigEndian(key[^4..]) << ((8 - key.Length) * 8);
            return ((ulong)BinaryPrimitives.ReadUInt32BigEndian(key) << 32) | (uint)last;
        }
        var prefix = 0UL;
        for (var i = 0; i < key.Length; i++) prefix |= (ulong)key[i] << (56 - (i * 8));
        return prefix;
    }

    public static uint Hash(ulong prefix, ReadOnlySpan<byte> key)
    {
        var hash = (prefix ^ (ulong)key.Length) * Multiplier;
        var rest = key.Length > 8 ? key[8..] : default;
        for (; rest.Length >= 8; rest = rest[8..]) hash = (BitOperations.RotateLeft(hash, 23) ^ BinaryPrimitives.ReadUInt64LittleEndian(rest)) * Multiplier;
        foreach (var value in rest) hash = (BitOperations.RotateLeft(hash, 23) ^ value) * Multiplier;
        hash ^= hash >> 29;
        return (uint)((hash * Multiplier) >> 32);
    }

    /// <summary>Returns a key's partition, by the high bits of its hash: tables use the low ones.</summary>
    public static int Partition(uint hash, int partitions) => (int)(((ulong)hash * (uint)partitions) >> 32);

    public static int Compare(ulong firstPrefix, ReadOnlySpan<byte> first, ulong secondPrefix, ReadOnlySpan<byte> second) =>
        firstPrefix != secondPrefix ? (firstPrefix < secondPrefix ? -1 : 1) : first.SequenceCompareTo(second);
}
