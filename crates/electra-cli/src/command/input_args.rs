//! Where text comes from and how it is read: the same options in `tokenizer train`, `data build` and the default job.

use electra_data::input::Format;
use electra_data::{InputOptions, TextSource};

/// Inputs that must be named, and how they are read.
#[derive(Debug, clap::Args)]
pub struct InputArgs {
    /// Files, folders or globs of .txt, .jsonl or .parquet, plain or .gz, .zst, .xz; - is standard input
    #[arg(long, value_name = "PATH", num_args = 1.., required = true, help_heading = "Input")]
    input: Vec<String>,
    #[command(flatten)]
    reading: ReadingArgs,
}

impl InputArgs {
    /// Finds the files.
    pub fn source(&self) -> electra_data::Result<TextSource> {
        self.reading.source(&self.input)
    }
}

/// How inputs are read, whichever they are.
#[derive(Debug, clap::Args)]
pub struct ReadingArgs {
    /// A file is one document; otherwise blank lines separate documents in text files
    #[arg(long, help_heading = "Input")]
    one_document_per_file: bool,
    /// The JSONL key or Parquet column that holds the text
    #[arg(long, value_name = "NAME", default_value = "text", help_heading = "Input")]
    text_key: String,
    /// Read every input as this, whatever its name
    #[arg(long, help_heading = "Input")]
    format: Option<InputFormat>,
}

/// [`Format`] on the command line.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum InputFormat {
    Text,
    Jsonl,
    Parquet,
}

impl ReadingArgs {
    /// Finds the files that `input` names.
    pub fn source(&self, input: &[String]) -> electra_data::Result<TextSource> {
        let format = self.format.map(|format| match format {
            InputFormat::Text => Format::Text,
            InputFormat::Jsonl => Format::Jsonl,
            InputFormat::Parquet => Format::Parquet,
        });
        let options =
            InputOptions { one_document_per_file: self.one_document_per_file, text_key: self.text_key.clone(), format };
        TextSource::find(input, options)
    }
}
