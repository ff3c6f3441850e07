//! `electra detect`: which tokens of a text look replaced.

use std::path::PathBuf;

use anstyle::{AnsiColor, Color, Effects, RgbColor, Style};
use electra_kernels::device::DeviceChoice;
use electra_train::inference::{Detector, TokenScore};
use serde_json::json;

use super::texts;
use crate::model_folder;
use crate::terminal::Terminal;
use crate::verification::open_checked;

const EXAMPLES: &str = "\
Examples:
  electra detect \"the chef ate the meal\"
  electra detect \"the chef ate the meal\" \"the meal ate the chef\"
  electra detect --model runs/books --json \"the chef ate the meal\" | jq '.tokens[].probability'
  electra detect < sentences.txt           one text a line";

/// Mark the tokens of texts that look replaced, with the probability
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Texts; without any, each line of standard input is one
    #[arg(value_name = "TEXT")]
    texts: Vec<String>,
    /// A run's folder or an exported discriminator, or ORG/NAME of the Hugging Face Hub [default: the newest
    /// run under runs/, else the model that Electra brings]
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// auto, cpu, gpu or gpu:N; a sentence is scored fastest on the CPU
    #[arg(long, default_value_t = DeviceChoice::Cpu)]
    device: DeviceChoice,
    /// Print one JSON object per text: tokens with bytes, logit and probability
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args, terminal: &Terminal) -> anyhow::Result<()> {
    let found = model_folder::find_or_brought(args.model.as_deref(), "discriminator", terminal)?;
    let device = open_checked(args.device, terminal)?;
    terminal.detail(format_args!("{} on {}", found.folder().place().display(), device.description));
    let detector = Detector::load(found.folder(), &device.device)?;
    detector.notices.iter().for_each(|notice| terminal.warn(notice));
    if !args.json {
        terminal.note(LEGEND);
    }
    texts::for_each(&args.texts, |text| {
        let tokens = detector.score(text)?;
        if !args.json {
            return Ok(terminal.result(marked(text, &tokens))?);
        }
        let tokens: Vec<_> = tokens
            .iter()
            .map(|score| {
                json!({
                    "token": score.token, "id": score.id, "start": score.start, "end": score.end,
                    "logit": score.logit, "probability": score.probability, "replaced": score.logit > 0.0,
                })
            })
            .collect();
        Ok(terminal.result(json!({ "text": text, "tokens": tokens }))?)
    })
}

/// What [`marked_token`] means, in words.
pub(super) const LEGEND: &str = "word(0.93) = taken for replaced, with the probability";

/// The text with its tokens marked.
fn marked(text: &str, tokens: &[TokenScore]) -> String {
    let mut line = String::new();
    let mut end = 0;
    for token in tokens {
        line.push_str(&text[end..token.start.max(end)]);
        end = token.end.max(end);
        line.push_str(&marked_token(&text[token.start..token.end], token.probability));
    }
    line.push_str(&text[end..]);
    line
}

/// A token in the colour of its probability to be a replacement. One that is taken for a replacement is underlined, and
/// the number follows it: colour never stands alone, and a pipe or a log has none.
pub(super) fn marked_token(text: &str, probability: f32) -> String {
    let style = style(probability);
    if probability > REPLACED {
        return format!("{style}{text}{style:#}({probability:.2})");
    }
    format!("{style}{text}{style:#}")
}

/// Above this probability a token is taken for a replacement.
const REPLACED: f32 = 0.5;

/// From the terminal's own colour at 0 to orange at 1.
fn style(probability: f32) -> Style {
    match probability {
        p if p > REPLACED => {
            Style::new().fg_color(Some(Color::Rgb(RgbColor(255, 140, 0)))).effects(Effects::BOLD | Effects::UNDERLINE)
        }
        p if p > 0.25 => Style::new().fg_color(Some(Color::Ansi(AnsiColor::Yellow))),
        _ => Style::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_stays_whole_and_the_replaced_token_carries_its_number() {
        let token = |start, end, logit: f32| TokenScore {
            token: String::new(),
            id: 0,
            start,
            end,
            logit,
            probability: 1.0 / (1.0 + (-logit).exp()),
        };
        let line =
            marked("the chef ate!", &[token(0, 3, -4.0), token(4, 8, -3.0), token(9, 12, 2.0), token(12, 13, -5.0)]);
        assert_eq!(anstream::adapter::strip_str(&line).to_string(), "the chef ate(0.88)!");
    }
}
