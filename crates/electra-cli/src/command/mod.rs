//! The command line's shape: global flags, and one module per subcommand.
//!
//! A subcommand is a file here with `pub struct Args` (clap's derive, whose doc comment is the help text) and
//! `pub fn run(args: Args, terminal: &Terminal) -> anyhow::Result<()>`. To register it, add its `mod`, its variant of
//! [`Command`] and its arm of [`run`].

mod bench;
mod data;
mod default_job;
mod detect;
mod devices;
mod doctor;
mod embed;
mod eval;
mod export;
mod fill;
mod finetune;
mod flops;
mod import;
mod input_args;
mod plot;
mod predict;
mod pretrain;
mod score;
mod serve;
mod texts;
mod tokenizer;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::exit::End;
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Without a command Electra trains a first model on text that is already on this machine, and shows what it learnt.

Examples:
  electra                               the default job, about ten minutes
  electra --input my-texts/             the same on your own text
  electra devices                       what can be trained on here
  electra help <COMMAND>                each command's options, with examples

Exit codes: 0 done; 1 a run that had to stop, or that \"doctor --strict\" finds wrong; 2 wrong arguments or bad input; 3 a run that
a signal stopped, with everything saved: the same command, or \"electra pretrain --resume\", goes on; 4 a device that was lost, ran
out of memory or refused its work.";

/// Pre-train ELECTRA text encoders on any GPU, or on the CPU.
#[derive(Debug, Parser)]
#[command(name = "electra", version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub global: GlobalFlags,
    #[command(flatten)]
    pub default_job: default_job::Args,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Flags that every subcommand takes, before or after its name.
#[derive(Debug, Args)]
pub(crate) struct GlobalFlags {
    /// Say more about what is done and why
    #[arg(long, short, global = true, action = clap::ArgAction::Count, help_heading = "Output")]
    pub verbose: u8,
    /// Print results, warnings and errors only
    #[arg(long, short, global = true, conflicts_with = "verbose", help_heading = "Output")]
    pub quiet: bool,
    /// Colour the output; `auto` colours terminals and honours NO_COLOR
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = "Output")]
    pub color: ColorWhen,
}

/// When to colour. Read ahead of clap by `terminal::apply_color_choice`; it stands here for its help and its checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorWhen {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Tokenizer(tokenizer::Args),
    Data(data::Args),
    Pretrain(pretrain::Args),
    Finetune(finetune::Args),
    Eval(eval::Args),
    Predict(predict::Args),
    Export(export::Args),
    Import(import::Args),
    Detect(detect::Args),
    Fill(fill::Args),
    Score(score::Args),
    Doctor(doctor::Args),
    Plot(plot::Args),
    Embed(embed::Args),
    Serve(serve::Args),
    Flops(flops::Args),
    Bench(bench::Args),
    Devices(devices::Args),
}

/// Parses this process's command line.
///
/// # Errors
/// clap's, which know their exit code and where they are printed; help and version are among them.
pub(crate) fn parse(color: ColorChoice) -> Result<Cli, clap::Error> {
    let mut command = Cli::command().color(color);
    let matches = command.try_get_matches_from_mut(std::env::args_os())?;
    if let Some(argument) = stray_argument(&command, &matches) {
        let subcommand = matches.subcommand_name().unwrap_or_default();
        let message = format!("{argument} belongs to the default job and not before \"{subcommand}\"");
        return Err(command.error(ErrorKind::ArgumentConflict, message));
    }
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// An argument of plain `electra` that stands before a subcommand, where it would have no effect.
///
/// clap's `args_conflicts_with_subcommands` would refuse the global flags as well.
fn stray_argument(command: &clap::Command, matches: &ArgMatches) -> Option<String> {
    matches.subcommand_name()?;
    command
        .get_arguments()
        .filter(|argument| !argument.is_global_set())
        .find(|argument| matches.value_source(argument.get_id().as_str()) == Some(ValueSource::CommandLine))
        .map(|argument| argument.get_long().map_or(argument.get_id().to_string(), |long| format!("--{long}")))
}

/// Runs what the command line asks for.
pub(crate) fn run(cli: Cli, terminal: &Terminal) -> anyhow::Result<End> {
    match cli.command {
        Some(Command::Pretrain(args)) => return pretrain::run(args, terminal),
        Some(Command::Finetune(args)) => return finetune::run(args, terminal),
        None => return default_job::run(cli.default_job, terminal),
        Some(Command::Tokenizer(args)) => tokenizer::run(args, terminal),
        Some(Command::Data(args)) => data::run(args, terminal),
        Some(Command::Eval(args)) => eval::run(args, terminal),
        Some(Command::Predict(args)) => predict::run(args, terminal),
        Some(Command::Export(args)) => export::run(args, terminal),
        Some(Command::Import(args)) => import::run(args, terminal),
        Some(Command::Detect(args)) => detect::run(args, terminal),
        Some(Command::Fill(args)) => fill::run(args, terminal),
        Some(Command::Score(args)) => score::run(args, terminal),
        Some(Command::Doctor(args)) => doctor::run(args, terminal),
        Some(Command::Plot(args)) => plot::run(args, terminal),
        Some(Command::Embed(args)) => embed::run(args, terminal),
        Some(Command::Serve(args)) => serve::run(args, terminal),
        Some(Command::Flops(args)) => flops::run(args, terminal),
        Some(Command::Bench(args)) => bench::run(args, terminal),
        Some(Command::Devices(args)) => devices::run(args, terminal),
    }
    .map(|()| End::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_argument_of_the_default_job_is_not_swallowed_by_a_subcommand() {
        let command = Cli::command().arg(clap::Arg::new("steps").long("steps").default_value("10"));
        let stray = |line: &str| {
            let matches = command.clone().try_get_matches_from(line.split(' ')).expect("it parses");
            stray_argument(&command, &matches)
        };
        assert_eq!(stray("electra --quiet devices"), None);
        assert_eq!(stray("electra --steps 3"), None);
        assert_eq!(stray("electra --steps 3 devices"), Some("--steps".to_owned()));
    }
}
