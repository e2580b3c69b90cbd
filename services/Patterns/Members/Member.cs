namespace DistributedPatterns.Members;

/// <summary>One start of one instance of a service. A restarted instance is another member.</summary>
/// <param name="Id">The instance's name, for example <c>worker-kzvxqpwa</c>.</param>
/// <param name="Role">The service it is an instance of, for example <c>worker</c>.</param>
/// <param name="Start">The token of this start; larger than that of every earlier start of any member.</param>
/// <param name="Grpc">Where it serves gRPC (HTTP/2 without TLS), or <see langword="null"/> when it serves none.</param>
/// <param name="Http">Where it serves HTTP/1.1, or <see langword="null"/> when it serves none.</param>
/// <param name="Left">Cancelled once the member is no longer alive. Link it into every call to the member: a frozen process keeps its connections open.</param>
public sealed record Member(string Id, string Role, string Start, Uri? Grpc, Uri? Http, CancellationToken Left);
