//! Parquet: one document a row, from one text column; every other column is left alone.

use std::fs::File;
use std::path::Path;

use parquet::basic::Compression;
use parquet::column::reader::{ColumnReader, get_typed_column_reader};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::ColumnDescPtr;

use super::LineSink;
use super::OnError;
use super::lines::pass_lines;
use super::report::{Bad, Reading};
use crate::error::{DataError, Result, io_error, shown};

/// Rows held at a time.
const BATCH_ROWS: usize = 256;

pub(super) fn read(path: &Path, reading: &Reading<'_>, sink: &mut dyn LineSink) -> Result<()> {
    let error = |place: &str, reason: String, remedy: &str| DataError::Input {
        path: shown(path),
        place: place.into(),
        reason,
        remedy: remedy.into(),
    };
    let key = reading.options.text_key.as_str();
    let file = File::open(path).map_err(io_error("read", path))?;
    let file_bytes = file.metadata().map_err(io_error("read", path))?.len();
    let reader = SerializedFileReader::new(file).map_err(|failure| {
        error("footer", failure.to_string(), "the file is truncated or not Parquet; fetch it again")
    })?;
    let rows_total = reader.metadata().file_metadata().num_rows().max(1) as u64;
    let columns = reader.metadata().file_metadata().schema_descr().columns();
    let Some(index) = column_of(columns, key) else {
        let names: Vec<String> = columns.iter().map(|candidate| candidate.path().string()).collect();
        let reason = format!("there is no column {key:?}, only {}", names.join(", "));
        return Err(error("schema", reason, "name the column with --text-key"));
    };
    let max_level = columns[index].max_def_level();
    let is_list = columns[index].max_rep_level() > 0;
    let mut row: u64 = 0;
    let mut reported = 0;
    for group in 0..reader.num_row_groups() {
        readable_codec(path, reader.metadata().row_group(group).column(index))?;
        let damaged = |row: u64, failure: parquet::errors::ParquetError| {
            error(&format!("row {row}"), failure.to_string(), "the file is damaged; fetch it again")
        };
        let pages = reader.get_row_group(group).and_then(|group| group.get_column_reader(index));
        let pages = pages.map_err(|failure| damaged(row, failure))?;
        let ColumnReader::ByteArrayColumnReader(_) = &pages else {
            let reason = format!("the column {key:?} holds {} and not text", columns[index].physical_type());
            return Err(error("schema", reason, "name the column with --text-key"));
        };
        let mut pages = get_typed_column_reader::<ByteArrayType>(pages);
        let mut values: Vec<ByteArray> = Vec::new();
        let (mut levels, mut repetitions): (Vec<i16>, Vec<i16>) = (Vec::new(), Vec::new());
        loop {
            values.clear();
            levels.clear();
            repetitions.clear();
            let lists = is_list.then_some(&mut repetitions);
            let (rows, _, entries) = pages
                .read_records(BATCH_ROWS, Some(&mut levels), lists, &mut values)
                .map_err(|failure| damaged(row, failure))?;
            if rows == 0 {
                break;
            }
            let mut present = values.iter();
            // An entry is a row, or an element of a row's list: strings in a list are lines of one document.
            let entries = if is_list { entries } else { rows };
            for entry in 0..entries {
                let starts_row = !is_list || repetitions.get(entry).is_none_or(|&repetition| repetition == 0);
                if starts_row {
                    sink.end_document()?;
                    row += 1;
                }
                // A null has a lower definition level, and no value.
                let is_null = max_level > 0 && levels.get(entry).is_none_or(|&level| level < max_level);
                let Some(value) = (!is_null).then(|| present.next()).flatten() else {
                    if !is_list {
                        reading.count(Bad::Null, || format!("{}: row {}", shown(path), row - 1));
                    }
                    continue;
                };
                pass_value(value.data(), path, row - 1, reading, sink)?;
            }
            let reached = (u128::from(file_bytes) * u128::from(row.min(rows_total)) / u128::from(rows_total)) as u64;
            reading.progress(reached - reported);
            reported = reached;
        }
    }
    sink.end_document()
}

fn pass_value(bytes: &[u8], path: &Path, row: u64, reading: &Reading<'_>, sink: &mut dyn LineSink) -> Result<()> {
    let failure = match std::str::from_utf8(bytes) {
        Ok(text) => return pass_lines(text, sink),
        Err(failure) => failure,
    };
    reading.skip_or_stop(
        Bad::Bytes,
        || format!("{}: row {row}", shown(path)),
        || DataError::Input {
            path: shown(path),
            place: format!("row {row}"),
            reason: format!("byte {} of the text is not valid UTF-8", failure.valid_up_to()),
            remedy: "write the column as UTF-8 strings, or go on with --on-error skip or replace".into(),
        },
    )?;
    match reading.options.on_error {
        OnError::Replace => pass_lines(&String::from_utf8_lossy(bytes), sink),
        _ => Ok(()),
    }
}

/// Refuses a column's piece that is compressed in a way which this build cannot undo.
pub(super) fn readable_codec(path: &Path, column: &ColumnChunkMetaData) -> Result<()> {
    let compression = column.compression();
    let is_rare = matches!(compression, Compression::BROTLI(_) | Compression::LZ4 | Compression::LZ4_RAW);
    if cfg!(feature = "rare-codecs") || !is_rare {
        return Ok(());
    }
    Err(DataError::Input {
        path: shown(path),
        place: "footer".into(),
        reason: format!("its text is compressed with {compression}, which this build of Electra does not read"),
        remedy: "build it with --features rare-codecs, or write the file with Zstandard".into(),
    })
}

/// The column of this path, or the only one below it: a list's elements lie two levels deeper than its name.
fn column_of(columns: &[ColumnDescPtr], key: &str) -> Option<usize> {
    let paths = || columns.iter().map(|column| column.path().string());
    paths().position(|path| path == key).or_else(|| {
        let below = format!("{key}.");
        let mut found = paths().enumerate().filter(|(_, path)| path.starts_with(&below)).map(|(index, _)| index);
        found.next().filter(|_| found.next().is_none())
    })
}
