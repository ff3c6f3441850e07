//! `electra detect`: which tokens of a text look replaced.

use std::io::{BufRead, Write};
use std::path::PathBuf;

use anstyle::{AnsiColor, Color, Effects, RgbColor, Style};
use anyhow::Context;
use electra_kernels::device::DeviceChoice;
use electra_train::detect::{Detector, TokenScore};
use serde_json::json;

use crate::model_folder;
use crate::terminal::Terminal;
use crate::verification::open_checked;

const EXAMPLES: &str = "\
Examples:
  electra detect \"the chef ate the meal\"
  electra detect --model runs/books --json \"the chef ate the meal\" | jq '.tokens[].probability'
  electra detect < sentences.txt           one text a line";

/// Colour the tokens of a text by the probability that they were replaced
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The text; without it, standard input is read line by line
    text: Option<String>,
    /// A run's folder or an exported discriminator [default: the newest run under runs/]
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// auto, cpu, gpu or gpu:N; a sentence is scored fastest on the CPU
    #[arg(long, default_value_t = DeviceChoice::Cpu)]
    device: DeviceChoice,
    /// Print one JSON object per text: tokens with bytes, logit and probability
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args, terminal: &Terminal) -> anyhow::Result<()> {
    let folder = model_folder::find(args.model.as_deref(), "discriminator")?;
    let device = open_checked(args.device, terminal)?;
    terminal.detail(format_args!("{} on {}", folder.display(), device.description));
    let detector = Detector::load(&folder, &device.device)?;
    let score = |text: &str| -> anyhow::Result<()> {
        let tokens = detector.score(text)?;
        if args.json {
            let tokens: Vec<_> = tokens
                .iter()
                .map(|score| {
                    json!({
                        "token": score.token, "id": score.id, "start": score.start, "end": score.end,
                        "logit": score.logit, "probability": score.probability, "replaced": score.logit > 0.0,
                    })
                })
                .collect();
            terminal.result(json!({ "text": text, "tokens": tokens }))?;
        } else {
            terminal.result(coloured(text, &tokens))?;
        }
        Ok(())
    };
    match &args.text {
        Some(text) => score(text),
        None => {
            for (number, line) in std::io::stdin().lock().lines().enumerate() {
                let line = line.with_context(|| {
                    format!(
                        "standard input, line {}: not UTF-8 text; convert it first, with iconv for example",
                        number + 1
                    )
                })?;
                score(&line)?;
                // A reader of a slow pipe sees each line when it is done.
                std::io::stdout().flush()?;
            }
            Ok(())
        }
    }
}

/// The text, each token in the colour of its probability, the replaced ones underlined with the number after them.
pub fn coloured(text: &str, tokens: &[TokenScore]) -> String {
    let mut line = String::new();
    let mut end = 0;
    for token in tokens {
        line.push_str(&text[end..token.start.max(end)]);
        end = token.end.max(end);
        let style = style(token.probability);
        line.push_str(&format!("{style}{}{style:#}", &text[token.start..token.end]));
        if token.logit > 0.0 {
            // Colour never stands alone: the number says it too.
            line.push_str(&format!("({:.2})", token.probability));
        }
    }
    line.push_str(&text[end..]);
    line
}

/// From the terminal's own colour at 0 to orange at 1.
fn style(probability: f32) -> Style {
    match probability {
        p if p > 0.5 => {
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
            coloured("the chef ate!", &[token(0, 3, -4.0), token(4, 8, -3.0), token(9, 12, 2.0), token(12, 13, -5.0)]);
        assert_eq!(anstream::adapter::strip_str(&line).to_string(), "the chef ate(0.88)!");
    }
}
