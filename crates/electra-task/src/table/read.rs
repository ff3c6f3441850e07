//! From bytes to a table: separated fields, JSON, and natively Parquet. A row that cannot be read is left out and counted.

use electra_data::record::{
    CsvRecords, JsonFailure, JsonValues, Layout, MAX_RECORD_BYTES, NameKind, decoded, delimiter_of, json_layout,
    name_kind, parse_json,
};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Table, TableFormat, TableOptions};
use crate::{Result, TaskError};

/// Bytes of a text's start by which its layout is told.
const HEAD_BYTES: usize = 1 << 16;
/// A separator that no text has: of a table of one column.
const NO_DELIMITER: u8 = 0x1f;
/// A first record with a longer field has text in it, and no names.
const LONGEST_COLUMN_NAME: usize = 100;

impl Table {
    /// Reads a table from the bytes of an unpacked file, in UTF-8, UTF-16 or UTF-32. `name` is for messages, and its extension tells
    /// the layout where the content does not.
    ///
    /// # Errors
    /// There is no row, or none that can be read.
    pub fn from_bytes(name: &str, bytes: &[u8], options: &TableOptions) -> Result<Self> {
        let text = decoded(bytes);
        let mut table = Self::new(name);
        match layout_of(name, &text, options) {
            Layout::JsonLines => table.read_json_lines(&text),
            Layout::JsonValues => table.read_json_values(&text),
            Layout::Table { delimiter } => table.read_fields(&text, delimiter, options)?,
            Layout::Prose => table.read_fields(&text, NO_DELIMITER, options)?,
        }
        table.with_rows()
    }

    /// Reads a table from a file: any compression is undone, and the content decides what it is.
    ///
    /// # Errors
    /// What [`electra_data::input::unpack`] and [`Table::from_bytes`] say.
    #[cfg(feature = "native")]
    pub fn open(path: &std::path::Path, options: &TableOptions) -> Result<Self> {
        use electra_data::input::{ParquetRows, Unpacked, unpack};
        let name = path.display().to_string();
        match unpack(path)? {
            Unpacked::Text(text) => Self::from_bytes(&name, &text, options),
            Unpacked::Parquet => {
                let rows = ParquetRows::open(path)?;
                let mut table = Self::new(&name);
                table.columns = rows.columns().to_vec();
                table.label_names =
                    (0..table.columns.len()).map(|column| rows.label_names(column).map(<[_]>::to_vec)).collect();
                table.has_header = true;
                for (number, cells) in rows.enumerate() {
                    table.push(number as u64 + 1, cells?.iter().map(String::as_str));
                }
                table.with_rows()
            }
        }
    }

    fn read_fields(&mut self, text: &[u8], delimiter: u8, options: &TableOptions) -> Result<()> {
        let quoting = options.quoting.unwrap_or(delimiter != b'\t');
        let mut records = CsvRecords::new(text, delimiter, quoting);
        loop {
            // Reading from memory fails where a record is too long alone.
            let next = records.next().map_err(|failure| {
                let place = format!("line {}", records.next_line());
                TaskError::record(&self.name, place, failure, "close the quote, or see whether this is the right file")
            })?;
            let Some(line) = next else { return Ok(()) };
            let fields: std::result::Result<Vec<&str>, _> =
                (0..records.width()).map(|index| std::str::from_utf8(records.field(index))).collect();
            let Ok(fields) = fields else {
                self.malformed(line, || "not valid UTF-8".into());
                continue;
            };
            if self.columns.is_empty() {
                let trimmed = || fields.iter().map(|name| name.trim());
                self.has_header = options.header.unwrap_or_else(|| trimmed().all(is_column_name));
                self.columns = match self.has_header {
                    true => trimmed().map(str::to_owned).collect(),
                    false => (1..=fields.len()).map(|number| number.to_string()).collect(),
                };
                if self.has_header {
                    continue;
                }
            }
            let lines = records.next_line() - line;
            if records.ends_in_quotes() {
                self.malformed(line, || format!("a quote opens in this record and never closes, over {lines} lines"));
            } else if fields.len() != self.columns.len() {
                let (found, expected) = (fields.len(), self.columns.len());
                let over = if lines > 1 { format!(", over {lines} lines: a stray quote?") } else { String::new() };
                self.malformed(line, || format!("{found} fields instead of {expected}{over}"));
            } else {
                self.push(line, fields);
            }
        }
    }

    fn read_json_lines(&mut self, text: &[u8]) {
        for (number, line) in text.split(|&byte| byte == b'\n').enumerate() {
            if !line.trim_ascii().is_empty() {
                self.read_json(line, number as u64 + 1);
            }
        }
    }

    fn read_json_values(&mut self, text: &[u8]) {
        let mut values = JsonValues::new(text, MAX_RECORD_BYTES);
        loop {
            match values.next() {
                Ok(None) => return,
                Ok(Some(line)) => self.read_json(values.value(), line),
                // Memory gives all it has.
                Err(JsonFailure::Io(_)) => return,
                Err(JsonFailure::TooLong(line)) => self.malformed(line, || "a record longer than 64 MiB".into()),
                Err(JsonFailure::Cut(line)) => {
                    self.malformed(line, || "the file ends within this record or array".into())
                }
                Err(JsonFailure::Unexpected(line, byte)) => {
                    self.malformed(line, || format!("not JSON: {:?} between records", char::from(byte)));
                }
            }
        }
    }

    /// An object's values are cells; a key that is new makes a column, which rows before it have nothing in.
    fn read_json(&mut self, record: &[u8], line: u64) {
        let Ok(text) = std::str::from_utf8(record) else {
            return self.malformed(line, || "not valid UTF-8".into());
        };
        let object = match parse_json(text.trim(), |parser| Map::<String, Value>::deserialize(parser)) {
            Ok(object) => object,
            Err(failure) => return self.malformed(line, || format!("not a JSON object: {failure}")),
        };
        for key in object.keys() {
            if self.column(key).is_none() {
                self.columns.push(key.clone());
            }
        }
        self.has_header = true;
        let cells: Vec<String> =
            self.columns.iter().map(|column| object.get(column).map_or_else(String::new, cell)).collect();
        self.push(line, cells.iter().map(String::as_str));
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Whether a first record's field can be a column's name. It may be empty: pandas leaves its index without one.
fn is_column_name(field: &str) -> bool {
    field.parse::<f64>().is_err() && field.chars().count() <= LONGEST_COLUMN_NAME
}

fn layout_of(name: &str, text: &[u8], options: &TableOptions) -> Layout {
    let head = String::from_utf8_lossy(&text[..text.len().min(HEAD_BYTES)]);
    let whole = text.len() <= HEAD_BYTES;
    let named = name_kind(name);
    let json = |is_named| json_layout(&head, whole, is_named);
    let first_line = head.trim_start_matches(['\n', '\r']).lines().next().unwrap_or_default();
    let separated = || {
        let delimiter = options.delimiter.unwrap_or_else(|| delimiter_of(first_line));
        if first_line.contains(char::from(delimiter)) { Layout::Table { delimiter } } else { Layout::Prose }
    };
    let tabs = Layout::Table { delimiter: options.delimiter.unwrap_or(b'\t') };
    match options.format {
        Some(TableFormat::Json) => json(true).unwrap_or(Layout::JsonLines),
        Some(TableFormat::Tsv) => tabs,
        Some(TableFormat::Csv) => separated(),
        None if options.delimiter.is_some() => separated(),
        None => json(named == Some(NameKind::Json)).unwrap_or_else(|| match named {
            Some(NameKind::Tsv) => tabs,
            _ => separated(),
        }),
    }
}
