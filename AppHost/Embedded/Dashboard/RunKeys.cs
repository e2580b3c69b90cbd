using System.Collections.Concurrent;
using System.Xml.Linq;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.DataProtection.Repositories;
using Microsoft.AspNetCore.DataProtection.XmlEncryption;
using Microsoft.Extensions.DependencyInjection;

namespace Aspire.Hosting.Dashboard;

/// <summary>The keys that sign the dashboard's cookies and forms: in memory, so they end with the run and leave nothing in the home folder.</summary>
internal sealed class RunKeys : IXmlRepository
{
    private readonly ConcurrentQueue<XElement> _keys = [];

    public static void AddTo(IServiceCollection services) =>
        services.AddDataProtection().AddKeyManagementOptions(keys =>
            (keys.XmlRepository, keys.XmlEncryptor) = (new RunKeys(), new NullXmlEncryptor())); // memory needs no encryption at rest

    public IReadOnlyCollection<XElement> GetAllElements() => [.. _keys.Select(key => new XElement(key))];

    public void StoreElement(XElement element, string friendlyName) => _keys.Enqueue(new XElement(element));
}
