using DistributedPatterns.MapReduce.Engine;

namespace DistributedPatterns.MapReduce;

/// <summary>What is made of a file's records, by name: the same code for both variants. Across processes only the name and the parameters travel.</summary>
/// <remarks>
/// Keys are bytes and values 64-bit numbers, so that a mapper makes no object a pair. What is larger than a number belongs behind one:
/// the inverted index emits a record's offset in the file.
/// </remarks>
public interface IMapReduceJob
{
    /// <summary>Gets the name, 1 to 64 characters.</summary>
    string Name { get; }

    /// <summary>Gets what it does and which parameters it takes, in a line.</summary>
    string Summary { get; }

    /// <summary>Gets what becomes of the values of a key.</summary>
    ValueFold Fold { get; }

    /// <summary>Makes what maps records. Each mapper has its own, so it may keep buffers.</summary>
    /// <param name="parameters">As the request has them.</param>
    /// <exception cref="MapReduceRequestException">A parameter is missing, unknown, or not accepted.</exception>
    IRecordMapper CreateMapper(IReadOnlyDictionary<string, string> parameters);
}

/// <summary>Maps records to pairs. Used by one thread at a time.</summary>
public interface IRecordMapper
{
    /// <summary>Maps one line to any number of pairs. The answer depends on the arguments alone, or re-execution would change the result.</summary>
    /// <param name="record">The line without its end, LF or CR LF. Only valid during the call.</param>
    /// <param name="offset">Where in the file it begins, in bytes.</param>
    /// <param name="output">Takes the pairs.</param>
    /// <exception cref="FormatException">The record is refused; <see cref="BadRecordPolicy"/> says what follows. Throw it before anything is emitted.</exception>
    void Map(ReadOnlySpan<byte> record, long offset, MapOutput output);
}

/// <summary>What becomes of the values of a key. Each is associative, commutative and, for the set, idempotent, so that order and grouping cannot show in the result.</summary>
public enum ValueFold
{
    /// <summary>Their sum; it wraps at 64 bits.</summary>
    Sum,

    /// <summary>The smallest.</summary>
    Min,

    /// <summary>The largest.</summary>
    Max,

    /// <summary>All of them, each once, ascending. They have to be 0 or more.</summary>
    Set,
}
