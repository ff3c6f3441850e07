//! The terminal: colour, notes, warnings and progress.
//!
//! Results go to standard output and everything else to standard error, so that `electra detect … > file` holds
//! results alone. Progress draws a bar on a terminal; in a log file a bar would be noise, so there it is one plain
//! line every few seconds.
//!
//! A result that cannot be written is an error. Everything else is best effort: the terminal may be closed and the disk
//! of the log may be full, and neither is a reason to lose hours of training. So this is the only place that writes to
//! standard error ([`say`]); the lints on top of lib.rs and clippy.toml refuse macros that panic instead.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Style of the word "error:", the same that clap uses for its own.
pub(crate) const ERROR_STYLE: Style = AnsiColor::Red.on_default().bold();
const WARNING_STYLE: Style = AnsiColor::Yellow.on_default().bold();
/// Style for headings in tables and listings.
pub(crate) const HEADING_STYLE: Style = Style::new().bold();
/// Style for what matters less: units, explanations.
pub(crate) const FAINT_STYLE: Style = Style::new().dimmed();

/// Between two plain progress lines where no bar can be drawn.
const PLAIN_LINE_INTERVAL: Duration = Duration::from_secs(5);

/// Writes a line to standard error, if that can be done.
pub(crate) fn say(line: impl fmt::Display) {
    // In one write, so that lines of several processes in one log stay whole.
    let _ = anstream::stderr().write_all(format!("{line}\n").as_bytes());
}

/// How much the user wants to read, and where it can be drawn.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    quiet: bool,
    verbosity: u8,
    draws_bars: bool,
}

impl Terminal {
    pub(crate) fn new(quiet: bool, verbosity: u8) -> Self {
        Self { quiet, verbosity, draws_bars: io::stderr().is_terminal() }
    }

    /// Prints one result line to standard output.
    ///
    /// # Errors
    /// It cannot be written. Where the reader went away, the error ends the command quietly (`exit.rs`).
    pub fn result(&self, line: impl fmt::Display) -> io::Result<()> {
        let mut out = anstream::stdout();
        writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|error| {
            let message = format!("standard output: cannot write the result: {error}");
            io::Error::new(error.kind(), message)
        })
    }

    /// Says something that helps but that a script can do without. `--quiet` hides it.
    pub fn note(&self, line: impl fmt::Display) {
        if !self.quiet {
            say(line);
        }
    }

    /// Says what only `--verbose` asks for.
    pub fn detail(&self, line: impl fmt::Display) {
        if self.verbosity > 0 {
            say(format_args!("{FAINT_STYLE}{line}{FAINT_STYLE:#}"));
        }
    }

    /// Says that something may not be as the user wants it. `--quiet` does not hide it.
    pub fn warn(&self, line: impl fmt::Display) {
        say(format_args!("{WARNING_STYLE}warning:{WARNING_STYLE:#} {line}"));
    }

    /// Starts a progress display; `total` in `unit`s, `None` where it cannot be known beforehand.
    pub fn progress(&self, label: impl Into<String>, total: Option<u64>, unit: Unit) -> Progress {
        self.progress_from(0, label, total, unit)
    }

    /// As [`Terminal::progress`], where another process has done `first` of the total: speed and time left are of what
    /// this one does.
    pub fn progress_from(&self, first: u64, label: impl Into<String>, total: Option<u64>, unit: Unit) -> Progress {
        let label = label.into();
        let display = if self.quiet {
            Display::Hidden
        } else if self.draws_bars {
            Display::Bar(bar(&label, first, total))
        } else {
            Display::Plain { last_line: Instant::now() }
        };
        Progress { display, label, first, total, unit, started: Instant::now() }
    }
}

/// What a progress display counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Bytes; shown as MB and MB/s.
    Bytes,
    /// Training steps; shown with steps/s.
    Steps,
    /// Texts; shown with texts/s.
    Examples,
}

/// A running progress display. Dropping it removes a bar that was not finished, so an error message stands alone.
#[derive(Debug)]
pub struct Progress {
    display: Display,
    label: String,
    /// Where this process began.
    first: u64,
    total: Option<u64>,
    unit: Unit,
    started: Instant,
}

#[derive(Debug)]
enum Display {
    Hidden,
    Bar(ProgressBar),
    Plain { last_line: Instant },
}

impl Progress {
    /// Shows that `position` of the total is reached; `message` carries what else matters now, such as the loss.
    pub fn update(&mut self, position: u64, message: impl fmt::Display) {
        let elapsed = self.started.elapsed();
        let how_far = || how_far(self.first, position, self.total, self.unit, elapsed);
        match &mut self.display {
            Display::Hidden => {}
            Display::Bar(bar) => {
                bar.set_message(format!("{} {message}", how_far()));
                bar.set_position(position);
            }
            Display::Plain { last_line } if last_line.elapsed() >= PLAIN_LINE_INTERVAL => {
                *last_line = Instant::now();
                say(format_args!("{}: {} {message}", self.label, how_far()));
            }
            Display::Plain { .. } => {}
        }
    }

    /// Prints a line above the bar, to stay.
    pub fn note(&self, line: impl fmt::Display) {
        match &self.display {
            Display::Hidden => {}
            Display::Bar(bar) => bar.suspend(|| say(line)),
            Display::Plain { .. } => say(line),
        }
    }

    /// Prints a warning above the bar, to stay; `--quiet` does not hide it.
    pub fn warn(&self, line: impl fmt::Display) {
        let line = format!("{WARNING_STYLE}warning:{WARNING_STYLE:#} {line}");
        match &self.display {
            Display::Bar(bar) => bar.suspend(|| say(line)),
            Display::Hidden | Display::Plain { .. } => say(line),
        }
    }

    /// Removes the bar and leaves `summary` in its place.
    pub fn finish(self, summary: impl fmt::Display) {
        match &self.display {
            Display::Hidden => {}
            Display::Bar(bar) => {
                bar.finish_and_clear();
                say(summary);
            }
            Display::Plain { .. } => say(summary),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Display::Bar(bar) = &self.display {
            bar.finish_and_clear();
        }
    }
}

fn bar(label: &str, first: u64, total: Option<u64>) -> ProgressBar {
    let bar = match total {
        Some(total) => ProgressBar::new(total),
        None => ProgressBar::new_spinner(),
    };
    bar.set_draw_target(ProgressDrawTarget::stderr());
    bar.set_style(ProgressStyle::with_template(bar_template(total)).expect("the templates below are constants"));
    bar.set_prefix(label.to_owned());
    bar.set_position(first);
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}

/// Numbers come in the message: the bar's own speed would count what was done before a resume.
fn bar_template(total: Option<u64>) -> &'static str {
    match total {
        Some(_) => "{prefix} [{bar:24}] {wide_msg}",
        None => "{prefix} {spinner} {wide_msg}",
    }
}

/// `12.0/19.0 MB (63 %), 3.1 MB/s, 0:02 left`, where this process began at `first`.
fn how_far(first: u64, position: u64, total: Option<u64>, unit: Unit, elapsed: Duration) -> String {
    let (scale, name, decimals) = match unit {
        Unit::Bytes => (1e6, "MB", 1),
        Unit::Steps => (1.0, "steps", 0),
        Unit::Examples => (1.0, "texts", 0),
    };
    let done = position as f64 / scale;
    let per_second = position.saturating_sub(first) as f64 / elapsed.as_secs_f64().max(1e-9);
    let speed = per_second / scale;
    match total {
        Some(total) if total > 0 => {
            let percent = 100.0 * position as f64 / total as f64;
            let seconds_left = total.saturating_sub(position) as f64 / per_second.max(1e-9);
            format!(
                "{done:.decimals$}/{:.decimals$} {name} ({percent:.0} %), {speed:.1} {name}/s, {} left",
                total as f64 / scale,
                clock(seconds_left),
            )
        }
        _ => format!("{done:.decimals$} {name}, {speed:.1} {name}/s"),
    }
}

/// Seconds as `m:ss` or `h:mm:ss`.
fn clock(seconds: f64) -> String {
    // Beyond a year the estimate means nothing; the cap also keeps the cast in range.
    let seconds = seconds.min(365.0 * 86_400.0) as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// Sets the colour of everything that is printed from `--color`, which wins over NO_COLOR and CLICOLOR_FORCE.
///
/// The flag is looked for by hand, since clap needs the answer before it parses. A wrong value is left for clap to
/// complain about.
pub(crate) fn apply_color_choice(arguments: impl IntoIterator<Item = OsString>) {
    let mut arguments = arguments.into_iter().skip(1);
    while let Some(argument) = arguments.next() {
        let value = match argument.to_str() {
            Some("--") => return,
            Some("--color") => arguments.next().and_then(|value| value.into_string().ok()),
            Some(argument) => argument.strip_prefix("--color=").map(str::to_owned),
            None => None,
        };
        match value.as_deref() {
            Some("always") => anstream::ColorChoice::Always.write_global(),
            Some("never") => anstream::ColorChoice::Never.write_global(),
            _ => {}
        }
    }
}

pub(crate) fn clap_color_choice() -> clap::ColorChoice {
    match anstream::ColorChoice::global() {
        anstream::ColorChoice::Always | anstream::ColorChoice::AlwaysAnsi => clap::ColorChoice::Always,
        anstream::ColorChoice::Never => clap::ColorChoice::Never,
        anstream::ColorChoice::Auto => clap::ColorChoice::Auto,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_says_how_far_how_fast_and_how_long() {
        let line = how_far(0, 12_000_000, Some(18_000_000), Unit::Bytes, Duration::from_secs(4));
        assert_eq!(line, "12.0/18.0 MB (67 %), 3.0 MB/s, 0:02 left");
        let line = how_far(0, 3, None, Unit::Steps, Duration::from_secs(2));
        assert_eq!(line, "3 steps, 1.5 steps/s");
    }

    #[test]
    fn a_resumed_run_is_as_fast_as_this_process() {
        let line = how_far(1000, 1034, Some(2000), Unit::Steps, Duration::from_secs(10));
        assert_eq!(line, "1034/2000 steps (52 %), 3.4 steps/s, 4:44 left");
    }

    #[test]
    fn every_bar_template_parses() {
        for total in [Some(10), None] {
            assert!(ProgressStyle::with_template(bar_template(total)).is_ok());
        }
    }

    #[test]
    fn no_estimate_is_longer_than_a_year() {
        assert_eq!(clock(f64::INFINITY), "8760:00:00");
        assert_eq!(clock(61.0), "1:01");
    }
}
