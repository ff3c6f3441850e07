//! Colours and dashes: a run is told by both, since one reader in twelve confuses some of the colours and printers have none.

use std::fmt::Write;

/// Of Okabe and Ito's palette, darkened until each has a contrast of 3 with white …
const LIGHT: [&str; 8] = ["#0072b2", "#c44f00", "#00805d", "#a8558a", "#946a00", "#1591a8", "#5a5a5a", "#7a3db8"];
/// … and lightened for a dark page.
const DARK: [&str; 8] = ["#5aa9f5", "#ff8a3c", "#2fc79a", "#e79ac6", "#e0b13a", "#7fe3ee", "#b8b8b8", "#bd93f9"];
/// In lengths of line and gap; the first is a whole line.
const DASHES: [&str; 7] = ["", "8 3", "3 2", "10 3 2 3", "5 2", "10 3 2 3 2 3", "6 2 2 2"];
/// Pairs of colour and dashes: beyond them two runs would look alike.
pub const MAX_RUNS: usize = LIGHT.len() * DASHES.len();

/// Attributes of the line of the run that was given as number `run`.
pub(crate) fn line(run: usize) -> String {
    // 8 and 7 have no common divisor, so that all pairs come up before one returns.
    match DASHES[run % DASHES.len()] {
        "" => colour(run),
        dashes => format!("{} stroke-dasharray=\"{dashes}\"", colour(run)),
    }
}

/// The attribute that has its colour alone.
pub(crate) fn colour(run: usize) -> String {
    format!("class=\"s{}\"", run % LIGHT.len())
}

/// The rules of a picture. Written out for both kinds of page, since few viewers of SVG know CSS's variables.
pub(crate) fn rules() -> String {
    let mut css = String::from(
        "svg text{font:12px system-ui,sans-serif;fill:#333}svg .title{font-size:14px;font-weight:600;fill:#111}\
         svg .axis{stroke:#888}svg .grid{stroke:#e6e6e6}svg .raw{opacity:.28}svg .back{fill:#fff}\
         svg path{fill:none;stroke-width:1.7;stroke-linejoin:round}svg .raw path{stroke-width:1}",
    );
    let colours = |css: &mut String, colours: &[&str]| {
        for (number, colour) in colours.iter().enumerate() {
            write!(css, "svg .s{number}{{stroke:{colour}}}svg circle.s{number}{{fill:{colour};stroke:none}}")
                .expect("a string takes all");
        }
    };
    colours(&mut css, &LIGHT);
    css.push_str(
        "@media(prefers-color-scheme:dark){svg text{fill:#c8c8c8}svg .title{fill:#f0f0f0}svg .axis{stroke:#777}\
         svg .grid{stroke:#333}svg .back{fill:#17181b}",
    );
    colours(&mut css, &DARK);
    css.push('}');
    css
}

/// The rules of a page around its pictures.
pub(crate) const PAGE: &str = "\
body{margin:0 auto;max-width:1120px;padding:1.5rem;font:14px/1.45 system-ui,sans-serif;color:#222;background:#fff}\
h1{font-size:1.4rem;margin:0 0 .25rem}.runs{display:flex;flex-wrap:wrap;gap:.25rem 1.5rem;list-style:none;padding:0;margin:.5rem 0 1.5rem}\
.key{width:34px;height:10px;vertical-align:middle;margin-right:.5rem}\
main{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,480px),1fr));gap:2rem 2.5rem}\
figure{margin:0;min-width:0}figure>svg{width:100%;height:auto;display:block}\
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:12px;font-variant-numeric:tabular-nums}\
th,td{text-align:right;padding:.15rem .4rem;border-bottom:1px solid #e6e6e6;white-space:nowrap}th:first-child{text-align:left}\
thead th{font-weight:500;color:#666}tbody th{font-weight:400}\
@media(prefers-color-scheme:dark){body{color:#ddd;background:#17181b}th,td{border-color:#333}thead th{color:#999}}";

#[cfg(test)]
mod tests {
    use super::*;

    /// WCAG's relative luminance.
    fn luminance(colour: &str) -> f64 {
        let part = |at: usize| {
            let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
    }

    #[test]
    fn every_colour_can_be_seen_on_its_page() {
        let contrast = |a: f64, b: f64| (a.max(b) + 0.05) / (a.min(b) + 0.05);
        for (light, dark) in LIGHT.iter().zip(DARK) {
            assert!(contrast(luminance(light), 1.0) >= 3.0, "{light}");
            assert!(contrast(luminance(dark), luminance("#17181b")) >= 3.0, "{dark}");
        }
    }

    #[test]
    fn no_two_runs_look_alike() {
        let mut lines: Vec<String> = (0..MAX_RUNS).map(line).collect();
        lines.sort();
        lines.dedup();
        assert_eq!(lines.len(), MAX_RUNS);
    }
}
