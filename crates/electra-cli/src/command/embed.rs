//! `electra embed`: a vector a text.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::ValueEnum;
use electra_data::atomic;
use electra_kernels::device::DeviceChoice;
use electra_task::table::{Table, TableOptions};
use electra_train::inference::{Embedder, Embeddings, Pooling};
use serde_json::json;

use super::texts;
use crate::model_folder;
use crate::terminal::{Terminal, Unit};
use crate::verification::open_checked;

const EXAMPLES: &str = "\
Examples:
  electra embed --model runs/small \"the chef ate the meal\" \"the cook had dinner\"
  electra embed --model runs/small --output vectors.npy < sentences.txt
  electra embed --model minilm --input reviews.csv --text-column body --output vectors.jsonl

One vector a text: the mean of its tokens' last hidden states ([CLS] and [SEP] included), or [CLS]'s alone. A network that
was only pre-trained tells texts apart less well than one that was fine-tuned to.";

/// Give a vector for each text
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Texts; without any, and without --input, each line of standard input is one
    #[arg(value_name = "TEXT")]
    texts: Vec<String>,
    /// A run's folder, an exported or imported network, or a fine-tuned one
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// A CSV, TSV, JSONL or Parquet with a column of texts
    #[arg(long, value_name = "FILE", conflicts_with = "texts")]
    input: Option<PathBuf>,
    /// The column of the texts
    #[arg(long, value_name = "COLUMN", default_value = "text")]
    text_column: String,
    /// .npy, .jsonl or .parquet by its name [default: JSON lines on standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// What a vector is made of
    #[arg(long, default_value = "mean")]
    pooling: PoolingName,
    /// Scale every vector to length 1
    #[arg(long)]
    normalize: bool,
    /// Tokens of a text, [CLS] and [SEP] included [default: what the network takes]
    #[arg(long, value_name = "N")]
    max_length: Option<usize>,
    /// auto, cpu, gpu or gpu:N; `auto` takes a GPU if there is one, else the CPU
    #[arg(long, default_value_t = DeviceChoice::Auto)]
    device: DeviceChoice,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PoolingName {
    Mean,
    Cls,
}

/// Texts that are embedded at a time, so that there is progress to show.
const AT_A_TIME: usize = 2048;

pub(super) fn run(args: Args, terminal: &Terminal) -> anyhow::Result<()> {
    let folder = model_folder::find(Some(&args.model), "discriminator", terminal)?;
    let device = open_checked(args.device, terminal)?;
    let mut embedder = Embedder::load(&folder, &device.device)?;
    embedder.notices.iter().for_each(|notice| terminal.warn(notice));
    if let Some(length) = args.max_length {
        embedder = embedder.with_max_length(length);
    }
    let all = texts(&args)?;
    if all.is_empty() {
        bail!("there is no text to embed");
    }
    let pooling = if args.pooling == PoolingName::Cls { Pooling::Cls } else { Pooling::Mean };
    let mut progress = terminal.progress("embedding", Some(all.len() as u64), Unit::Examples);
    let mut vectors = Embeddings { width: 0, values: Vec::new(), truncated: 0 };
    for (number, part) in all.chunks(AT_A_TIME).enumerate() {
        let found = embedder.embed(part, pooling)?;
        vectors.width = found.width;
        vectors.values.extend(found.values);
        vectors.truncated += found.truncated;
        progress.update(((number * AT_A_TIME) + part.len()) as u64, "");
    }
    progress.finish(format_args!("{} texts embedded", all.len()));
    if vectors.truncated > 0 {
        terminal.warn(format_args!("{} texts are longer than the network reads, and were cut", vectors.truncated));
    }
    if args.normalize {
        vectors.values.chunks_mut(vectors.width).for_each(normalize);
    }
    write(&args, &all, &vectors, terminal)
}

fn normalize(vector: &mut [f32]) {
    let length = vector.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|value| *value = (f64::from(*value) / length) as f32);
    }
}

fn texts(args: &Args) -> anyhow::Result<Vec<String>> {
    if let Some(input) = &args.input {
        let table = Table::open(input, &TableOptions::default())?;
        let column = table.column_named(&args.text_column, "--text-column")?;
        return Ok(table.rows().map(|row| row.cell(column).to_owned()).collect());
    }
    let mut all = Vec::new();
    texts::for_each(&args.texts, |text| {
        all.push(text.to_owned());
        Ok(())
    })?;
    Ok(all)
}

fn write(args: &Args, all: &[String], vectors: &Embeddings, terminal: &Terminal) -> anyhow::Result<()> {
    let rows = || all.iter().zip(vectors.values.chunks(vectors.width));
    let line = |(text, vector): (&String, &[f32])| json!({ "text": text, "embedding": vector });
    let Some(output) = &args.output else {
        return rows().try_for_each(|row| Ok(terminal.result(line(row))?));
    };
    match extension(output).as_str() {
        "npy" => atomic::write(output, &npy(vectors)),
        "jsonl" | "json" => {
            let text: String = rows().map(|row| format!("{}\n", line(row))).collect();
            atomic::write(output, text.as_bytes())
        }
        "parquet" => {
            let bytes = electra_data::parquet_of_vectors(all, &vectors.values, vectors.width)?;
            atomic::write(output, &bytes)
        }
        other => bail!("{}: \"{other}\" is no ending for vectors: take .npy, .jsonl or .parquet", output.display()),
    }
    .with_context(|| format!("{}: cannot be written", output.display()))?;
    terminal.note(format_args!("wrote {} vectors of {} to {}", all.len(), vectors.width, output.display()));
    Ok(())
}

fn extension(path: &Path) -> String {
    path.extension().map(|extension| extension.to_string_lossy().to_lowercase()).unwrap_or_default()
}

/// NumPy's format, version 1.0: little-endian f32, `[texts, width]`.
fn npy(vectors: &Embeddings) -> Vec<u8> {
    let shape = format!("({}, {})", vectors.values.len() / vectors.width.max(1), vectors.width);
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    // The values begin at a multiple of 64, and the header ends with a newline.
    let length = (10 + header.len() + 1).next_multiple_of(64) - 10;
    header.extend(std::iter::repeat_n(' ', length - 1 - header.len()));
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((length as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(vectors.values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_of_an_npy_file_begin_where_numpy_looks_for_them() {
        let bytes = npy(&Embeddings { width: 3, values: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], truncated: 0 });
        let length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
        assert_eq!((10 + length) % 64, 0);
        assert!(bytes[10..10 + length].ends_with(b"\n"));
        assert!(
            String::from_utf8_lossy(&bytes[10..])
                .starts_with("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)")
        );
        assert_eq!(bytes[10 + length..][..4], 1.0f32.to_le_bytes());
    }

    #[test]
    fn a_vector_of_zeros_stays_one() {
        let (mut zeros, mut vector) = ([0.0f32; 3], [3.0f32, 4.0]);
        normalize(&mut zeros);
        normalize(&mut vector);
        assert_eq!((zeros, vector), ([0.0; 3], [0.6, 0.8]));
    }
}
