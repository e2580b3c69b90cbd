using System.Globalization;
using System.Net;
using System.Text;
using System.Text.RegularExpressions;

namespace Aspire.Hosting.Dashboard;

/// <summary>Turns a console line into HTML: its text escaped, its colours as spans, every other control sequence left out.</summary>
/// <remarks>Markup comes from here alone: class names and numbers, never a part of the line. A colour ends with its line.</remarks>
internal static partial class AnsiHtml
{
    public static string Of(string line)
    {
        var html = new StringBuilder(line.Length + 16);
        var (style, at) = (default(Style), 0);
        foreach (var code in Sequence().EnumerateMatches(line))
        {
            Text(line[at..code.Index]);
            at = code.Index + code.Length;
            if (line.AsSpan(code.Index, code.Length) is ['\e', '[', .. var numbers, 'm'] && numbers.IndexOfAnyExceptInRange('0', ';') < 0)
            {
                style = style.After(numbers.ToString().Split(';'));
            }
        }

        Text(line[at..]);
        return html.ToString();

        void Text(string text)
        {
            if (text.Length > 0)
            {
                var encoded = WebUtility.HtmlEncode(text);
                html.Append(style == default ? encoded : $"{style.Open()}{encoded}</span>");
            }
        }
    }

    // CSI, OSC, any other escape, and control characters but the tab.
    [GeneratedRegex(@"\e\[[0-?]*[ -/]*[@-~]|\e\][^\a\e]*(\a|\e\\)?|\e.?|[\x00-\x08\x0a-\x1f\x7f]")]
    private static partial Regex Sequence();

    /// <summary>Colours are 0 to 15 by the theme, or six hexadecimal digits.</summary>
    private readonly record struct Style(string? Colour, string? Background, bool IsBold, bool IsDim, bool IsItalic, bool IsUnderlined)
    {
        public Style After(string[] codes)
        {
            var style = this;
            for (var i = 0; i < codes.Length; i++)
            {
                style = Number(codes, i) switch
                {
                    0 => default,
                    1 => style with { IsBold = true },
                    2 => style with { IsDim = true },
                    3 => style with { IsItalic = true },
                    4 => style with { IsUnderlined = true },
                    22 => style with { IsBold = false, IsDim = false },
                    23 => style with { IsItalic = false },
                    24 => style with { IsUnderlined = false },
                    >= 30 and <= 37 and var n => style with { Colour = Named(n - 30) },
                    38 => style with { Colour = Extended(codes, ref i) },
                    39 => style with { Colour = null },
                    >= 40 and <= 47 and var n => style with { Background = Named(n - 40) },
                    48 => style with { Background = Extended(codes, ref i) },
                    49 => style with { Background = null },
                    >= 90 and <= 97 and var n => style with { Colour = Named(n - 82) },
                    >= 100 and <= 107 and var n => style with { Background = Named(n - 92) },
                    _ => style,
                };
            }

            return style;
        }

        public string Open()
        {
            var (classes, css) = (new List<string>(), "");
            if (IsBold) classes.Add("bold");
            if (IsDim) classes.Add("dim");
            if (IsItalic) classes.Add("italic");
            if (IsUnderlined) classes.Add("underlined");
            Paint(Colour, "fg", "color");
            Paint(Background, "bg", "background");
            return $"<span class=\"{string.Join(' ', classes)}\"{(css.Length > 0 ? $" style=\"{css}\"" : "")}>";

            void Paint(string? colour, string prefix, string property)
            {
                if (colour is { Length: 6 }) css += $"{property}:#{colour};";
                else if (colour is not null) classes.Add($"{prefix}{colour}");
            }
        }

        // An empty code is 0; one too long for a number is none.
        private static int Number(string[] codes, int i) =>
            i >= codes.Length ? -1 : codes[i].Length == 0 ? 0 : int.TryParse(codes[i], CultureInfo.InvariantCulture, out var n) ? n : -1;

        private static string Named(int colour) => colour.ToString(CultureInfo.InvariantCulture);

        private static string? Extended(string[] codes, ref int i)
        {
            switch (Number(codes, i + 1))
            {
                case 5:
                    var n = Number(codes, i += 2);
                    return n switch
                    {
                        >= 0 and < 16 => Named(n),
                        < 232 and >= 16 => Hex(Level((n - 16) / 36), Level((n - 16) / 6 % 6), Level((n - 16) % 6)),
                        <= 255 and >= 232 => Hex(8 + (10 * (n - 232)), 8 + (10 * (n - 232)), 8 + (10 * (n - 232))),
                        _ => null,
                    };
                case 2:
                    i += 4;
                    return Hex(Number(codes, i - 2), Number(codes, i - 1), Number(codes, i));
                default:
                    return null;
            }

            static int Level(int step) => step == 0 ? 0 : 55 + (40 * step);

            static string? Hex(int red, int green, int blue) => red < 0 || green < 0 || blue < 0
                ? null
                : string.Create(CultureInfo.InvariantCulture, $"{Math.Min(red, 255):x2}{Math.Min(green, 255):x2}{Math.Min(blue, 255):x2}");
        }
    }
}
