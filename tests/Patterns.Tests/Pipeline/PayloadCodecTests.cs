using System.Buffers;
using CsCheck;
using DistributedPatterns.Payloads;

namespace DistributedPatterns.Tests.Pipeline;

public sealed class PayloadCodecTests
{
    // No lone surrogates: they are no text, and UTF-8 cannot say them.
    private static readonly Gen<string> s_text = Gen.OneOf(Gen.String[Gen.Char['\0', '\uD7FF'], 0, 40], Gen.Const("柿😀"));

    [Fact]
    public void Utf8_AnyText_ComesBack() => s_text.Array[0, 50].Sample(items => Assert.Equal(items, RoundTrip(PayloadCodec.Utf8, items)));

    [Fact]
    public void Bytes_AnyBytes_ComeBack() => Gen.Byte.Array[0, 100].Array[0, 30].Sample(items => Assert.Equal(items, RoundTrip(PayloadCodec.Bytes, items)));

    [Fact]
    public void Packed_AnyNumbers_ComeBack()
    {
        Gen.Int.Array[0, 300].Sample(items => Assert.Equal(items, RoundTrip(PayloadCodec.Packed<int>(), items)));
        Gen.Double.Array[0, 300].Sample(items => Assert.Equal(items, RoundTrip(PayloadCodec.Packed<double>(), items)));
    }

    [Fact]
    public void Json_AnyRecords_ComeBack() => Gen.Select(s_text, Gen.Int, (fruit, amount) => new Sale(fruit, amount)).Array[0, 50]
        .Sample(items => Assert.Equal(items, RoundTrip(PayloadCodec.Json(TestJson.Default.Sale), items)));

    [Fact]
    public void Decode_TheEndIsMissing_IsAFormatError() => Gen.Select(s_text.Array[1, 10], Gen.Double[0, 1]).Sample((items, part) =>
    {
        var payload = Encode(PayloadCodec.Utf8, items);
        Assert.Throws<FormatException>(() => PayloadCodec.Utf8.Decode(payload.AsSpan(0, (int)(part * (payload.Length - 1))), new string[items.Length]));
    });

    [Fact]
    public void Decode_BytesAreLeftOver_IsAFormatError()
    {
        AssertTooLong(PayloadCodec.Utf8, "a", "b");
        AssertTooLong(PayloadCodec.Bytes, [1], [2]);
        AssertTooLong(PayloadCodec.Packed<long>(), 1, 2);
        AssertTooLong(PayloadCodec.Json(TestJson.Default.Sale), new Sale("fig", 1), new Sale("fig", 2));

        static void AssertTooLong<T>(IPayloadCodec<T> codec, params T[] items) =>
            Assert.Throws<FormatException>(() => codec.Decode(Encode(codec, items), new T[items.Length - 1]));
    }

    [Theory]
    [InlineData(new byte[] { 255, 255, 255, 255, 1 })] // a negative length
    [InlineData(new byte[] { 255, 255, 255, 127, 1 })] // one of 2 GiB
    [InlineData(new byte[] { 1, 0 })]
    [InlineData(new byte[] { })]
    [InlineData(new byte[] { 1, 0, 0, 0, (byte)'{' })]
    [InlineData(new byte[] { 2, 0, 0, 0, 0xC3, 0x28 })] // not UTF-8
    public void Decode_Nonsense_IsAFormatError(byte[] payload)
    {
        Assert.Throws<FormatException>(() => PayloadCodec.Json(TestJson.Default.Sale).Decode(payload, new Sale[1]));
        Assert.Throws<FormatException>(() => PayloadCodec.Packed<long>().Decode(payload, new long[1]));
        if (payload is not [.., (byte)'{']) Assert.Throws<FormatException>(() => PayloadCodec.Utf8.Decode(payload, new string[1]));
    }

    [Fact]
    public void Encode_SeveralPayloadsIntoOneBuffer_LeavesWhatIsThere()
    {
        var output = new ArrayBufferWriter<byte>();
        PayloadCodec.Utf8.Encode(["a"], output);
        var first = output.WrittenCount;
        PayloadCodec.Utf8.Encode(["bc", ""], output);

        var items = new string[2];
        PayloadCodec.Utf8.Decode(output.WrittenSpan[first..], items);

        Assert.Equal(["bc", ""], items);
    }

    private static byte[] Encode<T>(IPayloadCodec<T> codec, T[] items)
    {
        var output = new ArrayBufferWriter<byte>();
        codec.Encode(items, output);
        return output.WrittenSpan.ToArray();
    }

    private static T[] RoundTrip<T>(IPayloadCodec<T> codec, T[] items)
    {
        var decoded = new T[items.Length];
        codec.Decode(Encode(codec, items), decoded);
        return decoded;
    }
}
