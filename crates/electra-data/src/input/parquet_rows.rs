//! Parquet as rows of text, every column of them: for tables whose columns are looked at before any is chosen.

use std::fs::File;
use std::path::{Path, PathBuf};

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::record::reader::RowIter;
use serde_json::Value;

use super::parquet::readable_codec;
use crate::error::{DataError, Result, io_error, shown};

/// Rows of a Parquet file, a text for each column. Numbers are written out, a null is an empty text, lists and structures are JSON.
pub struct ParquetRows {
    path: PathBuf,
    columns: Vec<String>,
    label_names: Vec<Option<Vec<String>>>,
    rows: RowIter<'static>,
    /// Rows handed out.
    count: u64,
}

impl ParquetRows {
    /// Opens a file.
    ///
    /// # Errors
    /// It cannot be read, is no Parquet, or is compressed in a way that this build cannot undo.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(io_error("read", path))?;
        let damaged = |failure: parquet::errors::ParquetError| DataError::Input {
            path: shown(path),
            place: "footer".into(),
            reason: failure.to_string(),
            remedy: "the file is truncated or not Parquet; fetch it again".into(),
        };
        let reader = SerializedFileReader::new(file).map_err(damaged)?;
        for group in reader.metadata().row_groups() {
            group.columns().iter().try_for_each(|column| readable_codec(path, column))?;
        }
        let metadata = reader.metadata().file_metadata();
        let columns: Vec<String> = metadata.schema().get_fields().iter().map(|field| field.name().to_owned()).collect();
        let described = metadata.key_value_metadata().and_then(|pairs| {
            let text = pairs.iter().find(|pair| pair.key == "huggingface")?.value.as_deref()?;
            serde_json::from_str::<Value>(text).ok()
        });
        let label_names = columns.iter().map(|column| label_names(described.as_ref()?, column)).collect();
        Ok(Self { path: path.to_owned(), columns, label_names, rows: reader.into_iter(), count: 0 })
    }

    /// Names of the columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// What the numbers of a column stand for, where Hugging Face's description in the file says it (a `ClassLabel`).
    pub fn label_names(&self, column: usize) -> Option<&[String]> {
        self.label_names[column].as_deref()
    }

    fn damaged(&self, reason: impl ToString) -> DataError {
        DataError::Input {
            path: shown(&self.path),
            place: format!("row {}", self.count),
            reason: reason.to_string(),
            remedy: "the file is damaged, or its text is not UTF-8; fetch it again".into(),
        }
    }
}

impl Iterator for ParquetRows {
    type Item = Result<Vec<String>>;

    fn next(&mut self) -> Option<Result<Vec<String>>> {
        let row = match self.rows.next()? {
            Ok(row) => row,
            Err(failure) => return Some(Err(self.damaged(failure))),
        };
        let cells: Option<Vec<String>> = row.into_columns().into_iter().map(|(_, field)| cell(field)).collect();
        let row = cells.ok_or_else(|| self.damaged("it holds bytes that are no text"));
        self.count += 1;
        Some(row)
    }
}

/// The names of a column's classes in the description that Hugging Face's datasets keeps beside the schema.
fn label_names(described: &Value, column: &str) -> Option<Vec<String>> {
    let feature = described.get("info")?.get("features")?.get(column)?;
    let names = feature.get("names").filter(|_| feature.get("_type") == Some(&"ClassLabel".into()))?;
    names.as_array()?.iter().map(|name| name.as_str().map(str::to_owned)).collect()
}

/// A field as text; `None` if it is bytes that are none.
fn cell(field: Field) -> Option<String> {
    Some(match field {
        Field::Null => String::new(),
        Field::Str(text) => text,
        Field::Bytes(bytes) => String::from_utf8(bytes.data().to_vec()).ok()?,
        field @ (Field::ListInternal(_) | Field::Group(_) | Field::MapInternal(_)) => json(&field)?.to_string(),
        field => scalar(&field),
    })
}

/// Numbers as Rust writes them: 5 for 5.0, and a single as few digits as tell it apart.
fn scalar(field: &Field) -> String {
    match field {
        Field::Float(value) => value.to_string(),
        Field::Double(value) => value.to_string(),
        other => other.to_string(),
    }
}

fn json(field: &Field) -> Option<Value> {
    Some(match field {
        Field::Null => Value::Null,
        Field::Bool(value) => Value::Bool(*value),
        Field::Str(text) => Value::String(text.clone()),
        Field::ListInternal(list) => Value::Array(list.elements().iter().map(json).collect::<Option<_>>()?),
        Field::Group(row) => {
            let pairs = row.get_column_iter().map(|(name, field)| Some((name.clone(), json(field)?)));
            Value::Object(pairs.collect::<Option<_>>()?)
        }
        Field::Bytes(bytes) => Value::String(String::from_utf8(bytes.data().to_vec()).ok()?),
        Field::MapInternal(map) => {
            let pairs = map.entries().iter().map(|(key, value)| Some((scalar(key), json(value)?)));
            Value::Object(pairs.collect::<Option<_>>()?)
        }
        number => serde_json::from_str(&scalar(number)).unwrap_or_else(|_| Value::String(scalar(number))),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
    use parquet::file::metadata::KeyValue;
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    use super::*;

    /// As Hugging Face writes: optional columns, a list of strings, and a description of the label.
    fn write(path: &Path) {
        let schema = "message table {
            OPTIONAL BINARY sentence (UTF8);
            OPTIONAL INT64 label;
            OPTIONAL DOUBLE score;
            OPTIONAL GROUP tags (LIST) { REPEATED GROUP list { OPTIONAL BINARY element (UTF8); } }
        }";
        let described = r#"{"info": {"features": {"sentence": {"dtype": "string", "_type": "Value"},
            "label": {"names": ["bad", "good"], "_type": "ClassLabel"}}}}"#;
        let properties = WriterProperties::builder()
            .set_key_value_metadata(Some(vec![KeyValue::new("huggingface".into(), described.to_owned())]))
            .build();
        let file = File::create(path).expect("created");
        let schema = Arc::new(parse_message_type(schema).expect("a schema"));
        let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).expect("a writer");
        let mut group = writer.next_row_group().expect("a group");
        let text = |texts: &[&str]| texts.iter().map(|text| ByteArray::from(*text)).collect::<Vec<_>>();
        let mut column = group.next_column().expect("ok").expect("sentence");
        column.typed::<ByteArrayType>().write_batch(&text(&["one, two", "three"]), Some(&[1, 1, 0]), None).expect("ok");
        column.close().expect("ok");
        let mut column = group.next_column().expect("ok").expect("label");
        column.typed::<Int64Type>().write_batch(&[1, 0, -1], Some(&[1, 1, 1]), None).expect("ok");
        column.close().expect("ok");
        let mut column = group.next_column().expect("ok").expect("score");
        column.typed::<DoubleType>().write_batch(&[2.5, 5.0], Some(&[1, 1, 0]), None).expect("ok");
        column.close().expect("ok");
        let mut column = group.next_column().expect("ok").expect("tags");
        let levels = ([3, 3, 1, 0], [0, 1, 0, 0]);
        column.typed::<ByteArrayType>().write_batch(&text(&["a", "b"]), Some(&levels.0), Some(&levels.1)).expect("ok");
        column.close().expect("ok");
        group.close().expect("ok");
        writer.close().expect("ok");
    }

    #[test]
    fn rows_have_a_text_for_each_column() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.parquet");
        write(&path);
        let rows = ParquetRows::open(&path).expect("opened");
        assert_eq!(rows.columns(), ["sentence", "label", "score", "tags"]);
        assert_eq!(rows.label_names(1), Some(["bad".to_owned(), "good".to_owned()].as_slice()));
        assert_eq!(rows.label_names(0), None);
        let rows: Vec<Vec<String>> = rows.collect::<Result<_>>().expect("read");
        let expected = [["one, two", "1", "2.5", r#"["a","b"]"#], ["three", "0", "5", "[]"], ["", "-1", "", ""]];
        assert_eq!(rows, expected);
    }

    #[test]
    fn a_cut_file_is_an_error_with_a_remedy() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a.parquet");
        write(&path);
        let bytes = std::fs::read(&path).expect("read");
        std::fs::write(&path, &bytes[..bytes.len() - 5]).expect("written");
        let message = ParquetRows::open(&path).err().expect("cut").to_string();
        assert!(message.contains("truncated") && message.contains("a.parquet"), "{message}");
    }
}
