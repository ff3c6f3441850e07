//! One picture: frame, grid, ticks and a path for each run, as SVG within a box of [`WIDTH`] by [`HEIGHT`].

use std::fmt::Write;

use crate::curves::{Panel, Vertical};
use crate::scale::{Log, Scale, exact, place_of};
use crate::style;

pub(crate) const WIDTH: f64 = 460.0;
pub(crate) const HEIGHT: f64 = 270.0;
/// Of the frame around the curves.
const LEFT: f64 = 56.0;
const RIGHT: f64 = 22.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 42.0;
/// A curve of so few points shows each.
const FEW_POINTS: usize = 25;

type Point = (f64, Option<f64>);

/// The content of a picture's `<svg>` element.
pub(crate) fn draw(panel: &Panel) -> String {
    let ends = [panel.x_range.0, panel.x_range.1];
    let x = Scale::of(ends.into_iter(), if panel.log_x { Log::Always } else { Log::Never }, false);
    let log_y = if panel.vertical == Vertical::LogIfWide { Log::IfWide } else { Log::Never };
    let values = panel.series.iter().flat_map(|series| &series.points).filter_map(|(_, y)| *y);
    let y = Scale::of(values, log_y, true);
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    let place = |(px, py): (f64, f64)| (LEFT + x.place(px) * (right - LEFT), bottom - y.place(py) * (bottom - TOP));
    let mut svg = format!("<text class=\"title\" x=\"{LEFT}\" y=\"20\">{}</text>", escaped(&panel.title));
    let mut put = |text: std::fmt::Arguments<'_>| svg.write_fmt(text).expect("a string takes all");
    for (value, name) in y.ticks(5) {
        let (_, at) = place((x.low, value));
        put(format_args!("<line class=\"grid\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>"));
        put(format_args!("<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{name}</text>", LEFT - 7.0, at + 4.0));
    }
    for (value, name) in x.ticks(6) {
        let (at, _) = place((value, y.low.max(f64::MIN_POSITIVE)));
        put(format_args!(
            "<line class=\"axis\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{bottom}\" y2=\"{}\"/>",
            bottom + 4.0
        ));
        put(format_args!("<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{name}</text>", bottom + 17.0));
    }
    put(format_args!("<line class=\"axis\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{bottom}\" y2=\"{bottom}\"/>"));
    let scales: Vec<&str> = [(x.is_log, "horizontal"), (y.is_log, "vertical")]
        .iter()
        .filter(|(log, _)| *log)
        .map(|(_, name)| *name)
        .collect();
    let note = if scales.is_empty() { String::new() } else { format!(" (logarithmic: {})", scales.join(", ")) };
    put(format_args!(
        "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}{note}</text>",
        f64::midpoint(LEFT, right),
        bottom + 35.0,
        panel.x_label
    ));
    for (number, series) in panel.series.iter().enumerate() {
        let Some(&(last_x, Some(last_y))) = series.points.iter().rev().find(|(_, y)| y.is_some()) else { continue };
        let curve = |points: &[Point]| {
            let drawable = points.iter().map(|(px, py)| (*px, py.filter(|py| is_on(x, *px) && is_on(y, *py))));
            path(&thinned(&drawable.map(|(px, py)| py.map(|py| place((px, py)))).collect::<Vec<_>>()))
        };
        if series.smoothed.is_some() {
            put(format_args!("<g class=\"raw\"><path {} d=\"{}\"/></g>", style::colour(number), curve(&series.points)));
        }
        let line = style::line(number);
        let title = format!("{}: {} at {}", series.name, exact(last_y), place_of(last_x));
        let shown = series.smoothed.as_deref().unwrap_or(&series.points);
        put(format_args!("<path {line} d=\"{}\"><title>{}</title></path>", curve(shown), escaped(&title)));
        let values: Vec<(f64, f64)> = shown.iter().filter_map(|(x, y)| Some((*x, (*y)?))).collect();
        if values.len() <= FEW_POINTS {
            for point in values.into_iter().filter(|(px, py)| is_on(x, *px) && is_on(y, *py)) {
                let (px, py) = place(point);
                put(format_args!("<circle {} cx=\"{px:.1}\" cy=\"{py:.1}\" r=\"2.4\"/>", style::colour(number)));
            }
        }
    }
    svg
}

/// Whether it has a place on the axis.
fn is_on(scale: Scale, value: f64) -> bool {
    value.is_finite() && (!scale.is_log || value > 0.0)
}

/// SVG's path through the points; begun anew after each gap.
fn path(points: &[Option<(f64, f64)>]) -> String {
    let mut path = String::new();
    let mut is_new = true;
    for point in points {
        let Some((x, y)) = point else {
            is_new = true;
            continue;
        };
        write!(path, "{}{x:.1} {y:.1}", if is_new { 'M' } else { 'L' }).expect("a string takes all");
        is_new = false;
    }
    path
}

/// Of many points those that can be seen: in each column of half a unit the first, the lowest, the highest and the last. Gaps stay.
fn thinned(points: &[Option<(f64, f64)>]) -> Vec<Option<(f64, f64)>> {
    if points.len() as f64 <= 4.0 * WIDTH {
        return points.to_vec();
    }
    let column = |point: &Option<(f64, f64)>| point.map(|(x, _)| (2.0 * x).floor() as i64);
    let mut kept = Vec::new();
    for run in points.chunk_by(|a, b| column(a) == column(b)) {
        if run[0].is_none() {
            kept.push(None);
            continue;
        }
        let height = |at: &usize| run[*at].map_or(0.0, |(_, y)| y);
        let order = |a: &usize, b: &usize| height(a).total_cmp(&height(b));
        let extremes = [(0..run.len()).min_by(order), (0..run.len()).max_by(order)].into_iter().flatten();
        let mut chosen: Vec<usize> = [0, run.len() - 1].into_iter().chain(extremes).collect();
        chosen.sort_unstable();
        chosen.dedup();
        kept.extend(chosen.into_iter().map(|at| run[at]));
    }
    kept
}

/// Text as XML and HTML take it.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // XML has no name for them, not even escaped.
            control if control.is_control() => escaped.push('\u{FFFD}'),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_begins_the_path_anew() {
        assert_eq!(
            path(&[Some((1.0, 2.0)), Some((3.0, 4.0)), None, None, Some((5.0, 6.0))]),
            "M1.0 2.0L3.0 4.0M5.0 6.0"
        );
    }

    #[test]
    fn thinning_keeps_every_spike_and_every_gap() {
        let mut points: Vec<Option<(f64, f64)>> = (0..100_000).map(|i| Some((f64::from(i) * 0.004, 50.0))).collect();
        points[31_234] = Some((31_234.0 * 0.004, 7.0));
        points[60_000] = None;
        let kept = thinned(&points);
        assert!(kept.len() < 4000, "{}", kept.len());
        assert!(kept.iter().flatten().any(|(_, y)| *y == 7.0) && kept.contains(&None));
    }

    #[test]
    fn names_cannot_break_out_of_the_picture() {
        assert_eq!(escaped("a<b>&\"\u{1}"), "a&lt;b&gt;&amp;&quot;\u{FFFD}");
    }
}
