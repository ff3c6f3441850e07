//! Parquet: one document a row, from one text column; every other column is left alone.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parquet::column::reader::{ColumnReader, get_typed_column_reader};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::{LineSink, is_stdin, pass_document};
use crate::error::{DataError, Result, io_error, shown};

/// Rows held at a time.
const BATCH_ROWS: usize = 256;

pub(super) fn read(path: &Path, column: &str, sink: &mut dyn LineSink, bytes_read: &Arc<AtomicU64>) -> Result<()> {
    let error = |place: &str, reason: String, remedy: &str| DataError::Input {
        path: shown(path),
        place: place.into(),
        reason,
        remedy: remedy.into(),
    };
    if is_stdin(path) {
        return Err(error("input", "Parquet is read from its end and cannot come from stdin".into(), "name the file"));
    }
    let file = File::open(path).map_err(io_error("read", path))?;
    let file_bytes = file.metadata().map_err(io_error("read", path))?.len();
    let reader = SerializedFileReader::new(file).map_err(|failure| {
        error("footer", failure.to_string(), "the file is truncated or not Parquet; fetch it again")
    })?;
    let metadata = reader.metadata();
    let columns = metadata.file_metadata().schema_descr().columns();
    let Some(index) = columns.iter().position(|candidate| candidate.path().string() == column) else {
        let names: Vec<String> = columns.iter().map(|candidate| candidate.path().string()).collect();
        let reason = format!("there is no column {column:?}, only {}", names.join(", "));
        return Err(error("schema", reason, "name the column with --text-key"));
    };
    if columns[index].max_rep_level() > 0 {
        let reason = format!("the column {column:?} holds lists");
        return Err(error("schema", reason, "a text column has one string a row"));
    }
    let max_level = columns[index].max_def_level();
    let rows_total = metadata.file_metadata().num_rows().max(1) as u64;
    let mut row: u64 = 0;
    let mut reported = 0;
    for group in 0..reader.num_row_groups() {
        let damaged = |row: u64, failure: parquet::errors::ParquetError| {
            error(&format!("row {row}"), failure.to_string(), "the file is damaged; fetch it again")
        };
        let pages = reader.get_row_group(group).and_then(|group| group.get_column_reader(index));
        let pages = pages.map_err(|failure| damaged(row, failure))?;
        let ColumnReader::ByteArrayColumnReader(_) = &pages else {
            let reason = format!("the column {column:?} holds {} and not text", columns[index].physical_type());
            return Err(error("schema", reason, "name the column with --text-key"));
        };
        let mut pages = get_typed_column_reader::<ByteArrayType>(pages);
        let mut values: Vec<ByteArray> = Vec::new();
        let mut levels: Vec<i16> = Vec::new();
        loop {
            values.clear();
            levels.clear();
            let (rows, _, _) = pages
                .read_records(BATCH_ROWS, Some(&mut levels), None, &mut values)
                .map_err(|failure| damaged(row, failure))?;
            if rows == 0 {
                break;
            }
            let mut present = values.iter();
            for offset in 0..rows {
                // A null has a lower definition level, and no value.
                let is_null = max_level > 0 && levels.get(offset).is_none_or(|&level| level < max_level);
                let Some(value) = (!is_null).then(|| present.next()).flatten() else { continue };
                let text = std::str::from_utf8(value.data()).map_err(|failure| {
                    let reason = format!("byte {} of the text is not valid UTF-8", failure.valid_up_to());
                    error(&format!("row {}", row + offset as u64), reason, "write the column as UTF-8 strings")
                })?;
                pass_document(text, sink)?;
            }
            row += rows as u64;
            let reached = (u128::from(file_bytes) * u128::from(row.min(rows_total)) / u128::from(rows_total)) as u64;
            bytes_read.fetch_add(reached - reported, Ordering::Relaxed);
            reported = reached;
        }
    }
    bytes_read.fetch_add(file_bytes - reported, Ordering::Relaxed);
    Ok(())
}
