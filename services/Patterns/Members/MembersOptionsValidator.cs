using Microsoft.Extensions.Options;

namespace DistributedPatterns.Members;

[OptionsValidator]
internal sealed partial class MembersOptionsValidator : IValidateOptions<MembersOptions>;
