//! Panels together: a bare SVG with one legend, or a page with a table below each picture.

use std::fmt::Write;

use crate::curves::{Panel, Series};
use crate::panel::{HEIGHT, WIDTH, draw, escaped};
use crate::scale::{exact, place_of};
use crate::style::{self, rules};

/// Around the pictures of a bare SVG.
const EDGE: f64 = 16.0;
/// Of the legend's lines.
const LEGEND_LINE: f64 = 22.0;
/// A guess at the width of a character, since nothing here knows fonts: rather too wide than too narrow.
const CHARACTER: f64 = 7.4;

/// One SVG with all panels in two columns, and a legend above them.
pub fn svg(title: &str, panels: &[Panel]) -> String {
    let columns = if panels.len() > 1 { 2 } else { 1 };
    let width = 2.0 * EDGE + columns as f64 * WIDTH;
    let names: Vec<&str> = names(panels);
    let mut legend = String::new();
    let (mut x, mut y) = (EDGE, EDGE + 34.0);
    for (number, name) in names.iter().enumerate() {
        let needed = 52.0 + CHARACTER * name.chars().count() as f64;
        if x > EDGE && x + needed > width - EDGE {
            (x, y) = (EDGE, y + LEGEND_LINE);
        }
        let line = style::line(number);
        let text = escaped(name);
        write!(
            legend,
            "<path {line} d=\"M{x:.1} {y}h30\"/><text x=\"{:.1}\" y=\"{}\">{text}</text>",
            x + 37.0,
            y + 4.0
        )
        .expect("a string takes all");
        x += needed;
    }
    let top = y + LEGEND_LINE;
    let height = top + panels.len().div_ceil(columns) as f64 * HEIGHT + EDGE;
    let title = escaped(title);
    let mut document = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" \
         aria-label=\"{title}\"><style>{}</style><rect class=\"back\" width=\"100%\" height=\"100%\"/>\
         <text class=\"title\" x=\"{EDGE}\" y=\"{}\">{title}</text>{legend}\n",
        rules(),
        EDGE + 10.0,
    );
    for (number, panel) in panels.iter().enumerate() {
        let (column, row) = (number % columns, number / columns);
        let (x, y) = (EDGE + column as f64 * WIDTH, top + row as f64 * HEIGHT);
        writeln!(document, "<g transform=\"translate({x} {y})\">{}</g>", draw(panel)).expect("a string takes all");
    }
    document.push_str("</svg>\n");
    document
}

/// A page that needs nothing else: no script, no style and no font from elsewhere.
pub fn html(title: &str, panels: &[Panel]) -> String {
    let title = escaped(title);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n<style>{}{}</style>\n<h1>{title}</h1>\n\
         <ul class=\"runs\">\n",
        style::PAGE,
        rules(),
    );
    let mut put = |text: std::fmt::Arguments<'_>| page.write_fmt(text).expect("a string takes all");
    for (number, name) in names(panels).iter().enumerate() {
        put(format_args!("<li>{}{}</li>\n", key(number), escaped(name)));
    }
    put(format_args!("</ul>\n<main>\n"));
    for panel in panels {
        put(format_args!(
            "<figure><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">{}</svg>\n{}</figure>\n",
            escaped(&panel.title),
            draw(panel),
            table(panel)
        ));
    }
    put(format_args!("</main>\n</html>\n"));
    page
}

/// Every panel has them all.
fn names(panels: &[Panel]) -> Vec<&str> {
    panels.first().map_or_else(Vec::new, |panel| panel.series.iter().map(|series| series.name.as_str()).collect())
}

/// A piece of the run's line.
fn key(number: usize) -> String {
    format!(
        "<svg class=\"key\" viewBox=\"0 0 34 10\" aria-hidden=\"true\"><path {} d=\"M1 5h32\"/></svg>",
        style::line(number)
    )
}

fn table(panel: &Panel) -> String {
    let x = panel.x_label.split([',', ' ']).next().unwrap_or_default();
    let mut table = format!(
        "<div class=\"scroll\"><table><thead><tr><th>run</th><th>last</th><th>at {x}</th><th>lowest</th><th>at</th><th>highest</th>\
         <th>at</th></tr></thead><tbody>"
    );
    for (number, series) in panel.series.iter().enumerate() {
        let Some(cells) = cells(series) else { continue };
        let cells: String = cells.iter().map(|cell| format!("<td>{cell}</td>")).collect();
        write!(table, "<tr><th>{}{}</th>{cells}</tr>", key(number), escaped(&series.name)).expect("a string takes all");
    }
    table.push_str("</tbody></table></div>");
    table
}

/// The last, the lowest and the highest value, and where each was first reached; as rows have them, not smoothed.
fn cells(series: &Series) -> Option<[String; 6]> {
    let values: Vec<(f64, f64)> = series.points.iter().filter_map(|(x, y)| Some((*x, (*y)?))).collect();
    let last = values.last()?;
    let lowest = values.iter().reduce(|best, value| if value.1 < best.1 { value } else { best })?;
    let highest = values.iter().reduce(|best, value| if value.1 > best.1 { value } else { best })?;
    let [last, lowest, highest] = [last, lowest, highest].map(|(x, y)| [exact(*y), place_of(*x)]);
    let ([a, b], [c, d], [e, f]) = (last, lowest, highest);
    Some([a, b, c, d, e, f])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curves::{Options, panels};
    use crate::rows::Run;

    /// Two runs with an odd name, one of them with a gap.
    fn drawn(smoothing: f64) -> Vec<Panel> {
        let row = |step: u64, split: &str, loss: &str| {
            format!("{{\"step\":{step},\"split\":\"{split}\",\"loss\":{loss},\"learning_rate\":0.1}}\n")
        };
        let first: String = (1..100).map(|step| row(step, "train", if step == 50 { "null" } else { "2.5" })).collect();
        let second: String =
            (1..100).map(|step| row(step, "train", &format!("{}", 3.0 - step as f64 / 100.0))).collect();
        let second = second + "{\"step\":99,\"split\":\"validation\",\"loss\":2.25,\"learning_rate\":null}\n";
        let runs = [Run::parse("a & <b>", &first, "").unwrap(), Run::parse("c", &second, "").unwrap()];
        panels(&runs, &Options { smoothing, ..Options::default() }).unwrap()
    }

    /// Fails unless every element that is opened is closed in turn, and everything in a tag is quoted.
    fn check_xml(text: &str) {
        let mut open: Vec<&str> = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find('<') {
            assert!(!rest[..start].contains('>'), "{}", &rest[..start]);
            let end = start + rest[start..].find('>').expect("a tag ends");
            let tag = &rest[start + 1..end];
            rest = &rest[end + 1..];
            assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
            if let Some(name) = tag.strip_prefix('/') {
                assert_eq!(open.pop(), Some(name));
            } else if !tag.ends_with('/') {
                open.push(tag.split(' ').next().unwrap());
                if open.last() == Some(&"style") {
                    rest = &rest[rest.find("</style>").unwrap()..];
                }
            }
        }
        assert!(open.is_empty(), "{open:?}");
        let bare = text
            .match_indices('&')
            .filter(|(at, _)| !["&amp;", "&lt;", "&gt;", "&quot;"].iter().any(|known| text[*at..].starts_with(known)));
        assert_eq!(bare.count(), 0);
    }

    /// Curves of the panel, by its number.
    fn curves(document: &str, panel: usize) -> Vec<&str> {
        let group = document.split("<g transform").nth(panel + 1).expect("the panel is there");
        group.split("<path ").skip(1).filter(|path| path.contains("<title>")).collect()
    }

    #[test]
    fn a_bare_picture_is_xml_with_a_curve_for_each_run_and_its_gaps() {
        let document = svg("Runs <1>", &drawn(0.0));
        check_xml(&document);
        let found = curves(&document, 0);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].matches('M').count(), 2, "the gap: {}", found[0]);
        assert_eq!(found[1].matches('M').count(), 1);
        assert_eq!(curves(&document, 1).len(), 1, "one run has validation");
        assert!(curves(&document, 1)[0].contains("class=\"s1\""), "the second run looks like the second run");
        assert!(document.contains("a &amp; &lt;b&gt;"));
        assert!(document.matches("NaN").count() == 0 && document.matches("inf").count() == 0);
    }

    #[test]
    fn a_page_has_a_table_for_each_picture_and_asks_nobody_for_anything() {
        let page = html("Runs", &drawn(0.0));
        check_xml(page.split_once("<main>").unwrap().1.split_once("</main>").unwrap().0);
        assert_eq!(page.matches("<figure>").count(), 3);
        assert_eq!(page.matches("<table>").count(), 3);
        assert!(page.contains("<td>2.01</td><td>99</td><td>2.01</td><td>99</td><td>2.99</td><td>1</td>"), "{page}");
        for outside in ["http", "<script", "@import", "url("] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn smoothing_draws_the_rows_behind_their_average() {
        let document = svg("Runs", &drawn(0.9));
        assert_eq!(document.matches("class=\"raw\"").count(), 2, "the loss of two runs, no rate and no validation");
        assert_eq!(curves(&document, 0).len(), 2);
    }
}
