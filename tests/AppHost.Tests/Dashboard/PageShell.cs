using Aspire.Hosting.Dashboard.Telemetry.Pages;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Rendering;
using Microsoft.AspNetCore.Components.Routing;
using Microsoft.AspNetCore.Components.Web;
using MudBlazor;

namespace DistributedPatterns.Tests.Dashboard;

/// <summary>The least that a page needs around it: a document, MudBlazor, a router.</summary>
public sealed class PageShell : ComponentBase
{
    protected override void BuildRenderTree(RenderTreeBuilder builder)
    {
        builder.AddMarkupContent(0, "<!DOCTYPE html>");
        builder.OpenElement(1, "html");
        builder.AddMarkupContent(2, """<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><base href="/"><link rel="icon" href="data:,"><link href="_content/MudBlazor/MudBlazor.min.css" rel="stylesheet"></head>""");
        builder.OpenElement(3, "body");
        builder.OpenComponent<Routes>(4);
        builder.AddComponentRenderMode(new InteractiveServerRenderMode(prerender: false));
        builder.CloseComponent();
        builder.AddMarkupContent(5, """<script src="_framework/blazor.web.js"></script><script src="_content/MudBlazor/MudBlazor.min.js"></script>""");
        builder.CloseElement();
        builder.CloseElement();
    }

    public sealed class Routes : ComponentBase
    {
        [Inject]
        private NavigationManager Navigation { get; set; } = null!;

        protected override void BuildRenderTree(RenderTreeBuilder builder)
        {
            builder.OpenComponent<MudThemeProvider>(0);
            builder.AddComponentParameter(1, nameof(MudThemeProvider.IsDarkMode), Navigation.Uri.Contains("dark=1", StringComparison.Ordinal));
            builder.CloseComponent();
            builder.OpenComponent<MudPopoverProvider>(2);
            builder.CloseComponent();
            builder.OpenComponent<Router>(3);
            builder.AddComponentParameter(4, nameof(Router.AppAssembly), typeof(LivePage).Assembly);
            builder.AddComponentParameter(5, nameof(Router.Found), (RenderFragment<Microsoft.AspNetCore.Components.RouteData>)(route => page =>
            {
                page.OpenElement(0, "main");
                page.AddAttribute(1, "style", "padding: 16px");
                page.OpenComponent<RouteView>(2);
                page.AddComponentParameter(3, nameof(RouteView.RouteData), route);
                page.CloseComponent();
                page.CloseElement();
            }));
            builder.CloseComponent();
        }
    }
}
