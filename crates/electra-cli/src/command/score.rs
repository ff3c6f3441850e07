//! `electra score`: how likely texts are.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::ValueEnum;
use electra_kernels::device::DeviceChoice;
use electra_train::config::{RUN_CONFIG, RunConfig};
use electra_train::inference::{Likelihood, Scorer};
use electra_train::{exchange::hugging_face, exchange::hugging_face::Architecture};
use serde_json::json;

use super::texts;
use crate::model_folder;
use crate::terminal::Terminal;
use crate::verification::open_checked;

const EXAMPLES: &str = "\
Examples:
  electra score --model runs/gpt \"the chef ate the meal\" \"the meal ate the chef\"
  electra score --model runs/electric --json < hypotheses.txt | jq -s 'max_by(.per_token).text'
  electra score --model exported/discriminator --as masked --tokens \"the chef ate the meal\"

Causal networks give the logarithm of a probability. Masked, permutation and Electric ones give a pseudo-log-likelihood, the
sum of log p(token | all others), which ranks texts but is no probability; Electric's is up to a constant, so that only texts of
equal length compare, and reads a text once where the others read it once a token. All in nats; less negative is likelier.";

/// Print how likely each text is, a row a text, for ranking them
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Texts; without any, each line of standard input is one
    #[arg(value_name = "TEXT")]
    texts: Vec<String>,
    /// A run's folder or an exported network, or ORG/NAME of the Hugging Face Hub [default: the newest
    /// run under runs/]
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// How the network is read [default: as its run's objective says, else as its class in config.json does]
    #[arg(long = "as", value_name = "HOW")]
    likelihood: Option<LikelihoodName>,
    /// auto, cpu, gpu or gpu:N
    #[arg(long, default_value_t = DeviceChoice::Cpu)]
    device: DeviceChoice,
    /// Print each token's part below its text
    #[arg(long)]
    tokens: bool,
    /// Print one JSON object per text
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LikelihoodName {
    Causal,
    Masked,
    Permutation,
    Electric,
}

impl From<LikelihoodName> for Likelihood {
    fn from(name: LikelihoodName) -> Self {
        match name {
            LikelihoodName::Causal => Self::Causal,
            LikelihoodName::Masked => Self::Masked,
            LikelihoodName::Permutation => Self::Permutation,
            LikelihoodName::Electric => Self::Electric,
        }
    }
}

pub(super) fn run(args: Args, terminal: &Terminal) -> anyhow::Result<()> {
    let (folder, likelihood) = find(args.model.as_deref(), args.likelihood.map(Likelihood::from), terminal)?;
    let device = open_checked(args.device, terminal)?;
    terminal.detail(format_args!("{} on {}", folder.display(), device.description));
    let scorer = Scorer::load(&folder, likelihood, &device.device)?;
    scorer.notices.iter().for_each(|notice| terminal.warn(notice));
    texts::for_each(&args.texts, |text| {
        let score = scorer.score(text)?;
        if args.json {
            let mut row = json!({
                "text": text, "as": likelihood, "tokens": score.tokens, "log_likelihood": score.log_likelihood,
                "per_token": score.per_token(), "perplexity": score.per_token().map(|mean| (-mean).exp()),
            });
            if args.tokens {
                let parts = score.parts.iter().map(|(token, part)| json!({ "token": token, "log_likelihood": part }));
                row["parts"] = parts.collect();
            }
            return Ok(terminal.result(row)?);
        }
        let per_token = score.per_token().map_or_else(|| "-".to_owned(), |mean| format!("{mean:.4}"));
        terminal.result(format_args!("{:.4}\t{per_token}\t{text}", score.log_likelihood))?;
        for (token, part) in score.parts.iter().filter(|_| args.tokens) {
            terminal.result(format_args!("\t{part:.4}\t{token}"))?;
        }
        Ok(())
    })
}

/// The network's folder and how it is read.
fn find(model: Option<&Path>, asked: Option<Likelihood>, terminal: &Terminal) -> anyhow::Result<(PathBuf, Likelihood)> {
    let model = model.map(|model| model_folder::resolve(model, terminal)).transpose()?;
    let find = |kind| model_folder::find(model.as_deref(), kind, terminal);
    // The one to keep: a generator where an objective has no other.
    let folder = find("discriminator").or_else(|_| find("generator"))?;
    if let Some(asked) = asked {
        return Ok((folder, asked));
    }
    let run = [folder.as_path(), folder.parent().unwrap_or(Path::new(""))]
        .into_iter()
        .find(|folder| folder.join(RUN_CONFIG).is_file());
    if let Some(run) = run {
        let name = RunConfig::load_from(run)?.objective.name;
        return match Likelihood::of_objective(&name) {
            Some(likelihood) => Ok((folder, likelihood)),
            None => bail!(
                "{}: the objective {name} trains a network that says which tokens were replaced, not how likely they are\n\
                 electric, causal, permutation, mlm, bert, roberta and replace_mlm train ones that do; its generator is one, too: \
                 --model {}",
                run.display(),
                run.join("generator").display()
            ),
        };
    }
    let network = hugging_face::import(&folder).with_context(|| folder.display().to_string())?;
    match network.architecture {
        Architecture::CausalLm => Ok((folder, Likelihood::Causal)),
        Architecture::MaskedLm => Ok((folder, Likelihood::Masked)),
        other => bail!(
            "{}: {} says nothing of how likely a text is, unless it was trained with the objective electric: --as electric",
            folder.display(),
            other.class_name()
        ),
    }
}
