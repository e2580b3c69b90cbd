using Aspire.Hosting.Dashboard;

namespace DistributedPatterns.Tests.Dashboard;

public sealed class AnsiHtmlTests
{
    [Theory]
    [InlineData("plain", "plain")]
    [InlineData("\e[32minfo\e[39m: x", "<span class=\"fg2\">info</span>: x")]
    [InlineData("\e[1m\e[31mred\e[0m", "<span class=\"bold fg1\">red</span>")]
    [InlineData("\e[97;44mx\e[49m", "<span class=\"fg15 bg4\">x</span>")]
    [InlineData("\e[1;3;4mx\e[22;23;24my", "<span class=\"bold italic underlined\">x</span>y")]
    [InlineData("\e[38;5;196mx", "<span class=\"\" style=\"color:#ff0000;\">x</span>")]
    [InlineData("\e[38;5;9mx", "<span class=\"fg9\">x</span>")]
    [InlineData("\e[48;2;1;2;300mx", "<span class=\"\" style=\"background:#0102ff;\">x</span>")]
    [InlineData("\e[mx\e[;1my", "x<span class=\"bold\">y</span>")]
    [InlineData("\e[2Jx\e[10;20Hy\e]0;title\az\e]8;;http://x\e\\w\a", "xyzw")]
    [InlineData("a\tb\rc", "a\tbc")]
    [InlineData("\e[38mx\e[38;5mx\e[38;2;1mx\e[999999999999mx", "xxxx")]
    [InlineData("\e", "")]
    public void Of_Codes_BecomeSpans(string line, string html) => Assert.Equal(html, AnsiHtml.Of(line));

    [Theory]
    [InlineData("<script>alert('x')</script>&\"")]
    [InlineData("\e[31;\"onclick=x<b>m")]
    [InlineData("\e[31<b>m")]
    [InlineData("<\e[31mscript>\e[0m")]
    [InlineData("\e]8;;javascript:alert(1)\a<a>\e]8;;\a")]
    [InlineData("<\0script>")]
    public void Of_AnyMarkup_IsText(string line)
    {
        var own = System.Text.RegularExpressions.Regex.Replace(AnsiHtml.Of(line), "<span class=\"[a-z0-9 ]*\">|</span>", "");

        Assert.DoesNotContain('<', own);
        Assert.DoesNotContain('"', own);
    }
}
