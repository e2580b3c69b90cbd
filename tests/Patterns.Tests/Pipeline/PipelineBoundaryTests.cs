using System.Reflection;
using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Reflection.PortableExecutable;
using DistributedPatterns.Pipeline;

namespace DistributedPatterns.Tests.Pipeline;

/// <summary>What runs in one process must build and run without the packages for many: a reader lifts it out alone.</summary>
public sealed class PipelineBoundaryTests
{
    private static readonly string[] s_foreign = ["StackExchange.Redis", "Grpc.", "Google.Protobuf"];

    [Fact]
    public void ChannelTypesAndTheEngine_ReferToNothingOfRedisOrGrpc()
    {
        var offenders = ReferencesByType().Where(type => IsInProcess(type.Key)).SelectMany(type => type.Value.Where(IsForeign).Select(to => $"{type.Key} → {to}"));

        Assert.Empty(offenders.Distinct());
    }

    [Fact]
    public void ReferencesByType_OfATypeThatUsesRedis_FindsIt() =>
        Assert.Contains(ReferencesByType(), type => type.Value.Any(IsForeign)); // else the test above could not fail

    // An engine is for both variants, but for what says by its name that it is not.
    private static bool IsInProcess(string type)
    {
        var name = type.Split('/')[0].Split('.')[^1];
        return name.StartsWith("Channel", StringComparison.Ordinal) || type.Split('.', '/')[^1].StartsWith("Channel", StringComparison.Ordinal)
            || (type.Contains(".Engine.", StringComparison.Ordinal) && !name.StartsWith("Redis", StringComparison.Ordinal));
    }

    private static bool IsForeign(string type) => s_foreign.Any(name => type.StartsWith(name, StringComparison.Ordinal));

    /// <summary>Reads the compiled assembly: what each type's fields, signatures, base types and method bodies name.</summary>
    private static Dictionary<string, HashSet<string>> ReferencesByType()
    {
        using var file = new PEReader(File.OpenRead(typeof(IPipeline).Assembly.Location));
        var metadata = file.GetMetadataReader();
        var found = new Dictionary<string, HashSet<string>>();
        foreach (var type in typeof(IPipeline).Assembly.GetTypes())
        {
            var references = found[type.FullName!.Replace('+', '/')] = [];
            const BindingFlags All = BindingFlags.Instance | BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;
            Note(type.BaseType);
            foreach (var contract in type.GetInterfaces()) Note(contract);
            foreach (var field in type.GetFields(All)) Note(field.FieldType);
            foreach (var method in type.GetMethods(All).Cast<MethodBase>().Concat(type.GetConstructors(All)))
            {
                foreach (var parameter in method.GetParameters()) Note(parameter.ParameterType);
                if (method is MethodInfo { ReturnType: var returned }) Note(returned);
                if (method.GetMethodBody() is not { } body) continue;
                foreach (var local in body.LocalVariables) Note(local.LocalType);
                foreach (var token in TokensIn(body.GetILAsByteArray() ?? [], metadata)) references.Add(NameOf(metadata, token));
            }

            void Note(Type? used)
            {
                if (used is null) return;
                references.Add((used.HasElementType ? used.GetElementType()! : used).FullName ?? used.Name);
                foreach (var argument in used.GetGenericArguments()) Note(argument.IsGenericParameter ? null : argument);
            }
        }
        return found;
    }

    // A scan of every four bytes that could be a member's or a type's token finds more than a disassembler would, never less;
    // what it finds too much is far from any foreign name unless the assembly's tables are small, so members must resolve.
    private static IEnumerable<EntityHandle> TokensIn(byte[] il, MetadataReader metadata)
    {
        for (var i = 1; i + 4 <= il.Length; i++)
        {
            if (il[i - 1] is not (0x28 or 0x6F or 0x73 or 0x7B or 0x7E or 0x74 or 0x75 or 0xD0)) continue; // call, callvirt, newobj, ldfld, ldsfld, castclass, isinst, ldtoken
            var token = BitConverter.ToInt32(il, i);
            var (table, row) = ((TableIndex)(token >> 24), token & 0xFFFFFF);
            if (table is TableIndex.MemberRef or TableIndex.TypeRef && row > 0 && row <= metadata.GetTableRowCount(table)) yield return MetadataTokens.EntityHandle(token);
        }
    }

    private static string NameOf(MetadataReader metadata, EntityHandle handle)
    {
        if (handle.Kind == HandleKind.MemberReference) handle = metadata.GetMemberReference((MemberReferenceHandle)handle).Parent;
        if (handle.Kind != HandleKind.TypeReference) return "";
        var type = metadata.GetTypeReference((TypeReferenceHandle)handle);
        return $"{metadata.GetString(type.Namespace)}.{metadata.GetString(type.Name)}";
    }
}
