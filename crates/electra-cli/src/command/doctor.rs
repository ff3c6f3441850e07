//! `electra doctor`: what is wrong with a run, in words.

use std::path::PathBuf;

use anstyle::{AnsiColor, Style};
use electra_train::diagnosis::{Beside, Diagnosis, Finding, Severity, examine};
use serde_json::json;

use crate::exit::RunFailed;
use crate::terminal::{FAINT_STYLE, HEADING_STYLE, Terminal};

const EXAMPLES: &str = "\
Examples:
  electra doctor runs/mine
  electra doctor runs/mine --json | jq -r '.findings[] | select(.severity == \"wrong\") | .what'
  electra doctor runs/mine --strict && electra export runs/mine --out exported

It reads rows, run.toml, times, the newest checkpoint, exported networks and the dataset, and changes nothing; a run may be at
work meanwhile. Looked for are: a discriminator at the majority class or below a table of word pairs, a generator that does not learn
or leaves nothing to find, samples that know the answer, tables that are not shared, a learning rate that never warms up, a run that
stopped, losses that are not finite, gradients that run away or vanish, a loss scale that is stuck, learning by heart, tiny batches,
vocabularies of other text, [UNK], held-out text that was trained on, and text that is read many times over. Below stand the run's
curves beside those of a healthy run, after as many tokens.

Exit codes: 0 whatever was found; 2 for a folder that is no run; with --strict 1 where something is wrong.";

/// Say in words what is wrong with a run, with the evidence and what to do
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The run's folder
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// Fail (exit code 1) where something is wrong
    #[arg(long)]
    strict: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

const FINE_STYLE: Style = AnsiColor::Green.on_default();
const SUSPICIOUS_STYLE: Style = AnsiColor::Yellow.on_default().bold();
const WRONG_STYLE: Style = AnsiColor::Red.on_default().bold();
/// Columns of the severity's name and the blank behind it.
const INDENT: usize = 12;
/// Columns of a line: help texts are as wide.
const WIDTH: usize = 100;

pub(super) fn run(args: Args, terminal: &Terminal) -> anyhow::Result<()> {
    let diagnosis = examine(&args.run)?;
    if args.json {
        terminal.result(json!(diagnosis))?;
    } else {
        print(&args, &diagnosis, terminal)?;
    }
    match diagnosis.count(Severity::Wrong) {
        wrong if args.strict && wrong > 0 => {
            let worst = &diagnosis.findings[0].what;
            let more = if wrong > 1 { format!(", and {} more", wrong - 1) } else { String::new() };
            Err(RunFailed(format!("{}: {worst}{more}", args.run.display())).into())
        }
        _ => Ok(()),
    }
}

fn print(args: &Args, diagnosis: &Diagnosis, terminal: &Terminal) -> anyhow::Result<()> {
    let run = &diagnosis.run;
    terminal.result(format_args!(
        "{HEADING_STYLE}{}{HEADING_STYLE:#}: {}, preset {}, step {} of {}, {:.1} M tokens{}",
        args.run.display(),
        run.objective,
        run.preset,
        run.step,
        run.steps,
        run.tokens_seen as f64 / 1e6,
        if run.is_being_trained { ", at work now" } else { "" }
    ))?;
    for finding in &diagnosis.findings {
        print_finding(finding, terminal)?;
    }
    for missing in &diagnosis.not_seen {
        terminal.result(format_args!(
            "{FAINT_STYLE}{:<INDENT$}{}{FAINT_STYLE:#}",
            "not seen",
            wrapped(missing, INDENT)
        ))?;
    }
    if let Some(beside) = &diagnosis.beside {
        print_beside(beside, terminal)?;
    }
    let counts = [Severity::Wrong, Severity::Suspicious, Severity::Fine].map(|severity| diagnosis.count(severity));
    terminal.note(format_args!("{} wrong, {} suspicious, {} fine", counts[0], counts[1], counts[2]));
    Ok(())
}

fn print_finding(finding: &Finding, terminal: &Terminal) -> anyhow::Result<()> {
    let style = match finding.severity {
        Severity::Wrong => WRONG_STYLE,
        Severity::Suspicious => SUSPICIOUS_STYLE,
        Severity::Fine => FINE_STYLE,
    };
    let name = finding.severity.name();
    terminal.result(format_args!("{style}{name:<INDENT$}{style:#}{}", wrapped(&finding.what, INDENT)))?;
    terminal.result(format_args!(
        "{:INDENT$}{FAINT_STYLE}{}{FAINT_STYLE:#}",
        "",
        wrapped(&finding.evidence, INDENT)
    ))?;
    if let Some(remedy) = &finding.remedy {
        terminal.result(format_args!("{:INDENT$}-> {}", "", wrapped(remedy, INDENT + 3)))?;
    }
    Ok(())
}

/// `text` in lines that end by [`WIDTH`], those behind the first indented.
fn wrapped(text: &str, indent: usize) -> String {
    let (mut lines, mut width) = (String::new(), indent);
    for word in text.split(' ') {
        let length = word.chars().count();
        if width > indent && width + 1 + length > WIDTH {
            lines.push_str(&format!("\n{:indent$}", ""));
            width = indent;
        } else if width > indent {
            lines.push(' ');
            width += 1;
        }
        lines.push_str(word);
        width += length;
    }
    lines
}

fn print_beside(beside: &Beside, terminal: &Terminal) -> anyhow::Result<()> {
    terminal.result(format_args!(
        "\n{HEADING_STYLE}Beside a healthy run{HEADING_STYLE:#}: {}",
        wrapped(&beside.about, 0)
    ))?;
    if beside.is_of_training {
        terminal.result("(here are rows of training, for want of held-out ones)")?;
    }
    let row = |name: &str, who: &str, values: Vec<String>| {
        let values: String = values.iter().map(|value| format!("{value:>10}")).collect();
        terminal.result(format_args!("{name:<24}{who:<8}{values}"))
    };
    row("step", "", beside.rows.iter().map(|row| row.step.to_string()).collect())?;
    row("million tokens", "", beside.rows.iter().map(|row| format!("{:.2}", row.tokens as f64 / 1e6)).collect())?;
    let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"));
    for (number, metric) in beside.metrics.iter().enumerate() {
        row(metric, "here", beside.rows.iter().map(|row| shown(row.here[number])).collect())?;
        row("", "healthy", beside.rows.iter().map(|row| shown(row.healthy[number])).collect())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_wrapped_between_words_and_long_words_are_left_whole() {
        assert_eq!(wrapped("a b", 4), "a b");
        let text = ["word"; 30].join(" ");
        let lines: Vec<String> = wrapped(&text, 12).lines().map(str::to_owned).collect();
        assert!(
            lines.len() == 2 && lines[0].len() <= WIDTH - 12 && lines[1].starts_with("            word"),
            "{lines:?}"
        );
        assert_eq!(wrapped(&"x".repeat(200), 12), "x".repeat(200));
    }
}
