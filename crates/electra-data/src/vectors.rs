//! Vectors of texts as a Parquet file.

use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, FloatType};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use crate::error::{DataError, Result};

const SCHEMA: &str = "message vectors {
    REQUIRED BYTE_ARRAY text (STRING);
    REQUIRED GROUP embedding (LIST) { REPEATED GROUP list { REQUIRED FLOAT element; } }
}";

/// A Parquet file with a row a text: `text`, and `embedding`, a list of `width` floats. `values`: one vector after the other.
///
/// # Errors
/// More rows or values than the format takes.
///
/// # Panics
/// Unless there is one vector of `width` values, at least one, for each text.
pub fn parquet_of_vectors(texts: &[String], values: &[f32], width: usize) -> Result<Vec<u8>> {
    assert!(width > 0 && values.len() == texts.len() * width, "{} values for {} texts", values.len(), texts.len());
    written(texts, values, width).map_err(|error| DataError::Input {
        path: "Parquet".into(),
        place: format!("{} vectors of {width}", texts.len()),
        reason: error.to_string(),
        remedy: "write another format".into(),
    })
}

fn written(texts: &[String], values: &[f32], width: usize) -> std::result::Result<Vec<u8>, ParquetError> {
    let schema = Arc::new(parse_message_type(SCHEMA)?);
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?;
    let mut group = writer.next_row_group()?;
    if let Some(mut column) = group.next_column()? {
        let texts: Vec<ByteArray> = texts.iter().map(|text| text.as_str().into()).collect();
        column.typed::<ByteArrayType>().write_batch(&texts, None, None)?;
        column.close()?;
    }
    if let Some(mut column) = group.next_column()? {
        // Every value is there; the first of a vector begins a row.
        let defined = vec![1i16; values.len()];
        let repeated: Vec<i16> = (0..values.len()).map(|at| i16::from(at % width > 0)).collect();
        column.typed::<FloatType>().write_batch(values, Some(&defined), Some(&repeated))?;
        column.close()?;
    }
    group.close()?;
    writer.into_inner()
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor;

    use super::*;

    #[test]
    fn every_text_has_its_vector() {
        let texts = ["a, b".to_owned(), "ü".to_owned()];
        let bytes = parquet_of_vectors(&texts, &[0.5, -1.0, 2.0, 3.0], 2).unwrap();
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, &bytes).unwrap();
        let reader = SerializedFileReader::new(file).unwrap();
        let rows: Vec<(String, Vec<f32>)> = reader
            .get_row_iter(None)
            .unwrap()
            .map(|row| {
                let row = row.unwrap();
                let list = row.get_list(1).unwrap();
                let vector = list.elements().iter().map(|value| value.to_string().parse().unwrap()).collect();
                (row.get_string(0).unwrap().clone(), vector)
            })
            .collect();
        assert_eq!(rows, [("a, b".to_owned(), vec![0.5, -1.0]), ("ü".to_owned(), vec![2.0, 3.0])]);
    }
}
