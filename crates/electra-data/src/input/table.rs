//! Tables of separated columns (CSV, TSV): one record a document, from one text column; every other column is left alone.

use super::lines::{Line, Text, pass_document};
use super::report::{Bad, Reading};
use super::{InputOptions, LineSink};
use crate::error::{DataError, Result};
use crate::record::{CsvRecords, Layout, NameKind, delimiter_of};

/// Columns that hold text where none has the name asked for, the likeliest first.
const TEXT_COLUMNS: &[&str] = &[
    "text",
    "content",
    "body",
    "document",
    "article",
    "passage",
    "paragraph",
    "sentence",
    "story",
    "review",
    "comment",
    "abstract",
    "context",
];
/// Records of a file's start that must agree before a text file is taken for a table.
const RECORDS_COMPARED: usize = 20;

/// How a text is laid out that starts with `text`, if it is a table: by its name, or because its first line names a text
/// column and all records that can be seen have as many columns as it.
pub(super) fn layout_of(text: &str, whole: bool, named: Option<NameKind>) -> Option<Layout> {
    let header = text.lines().next().unwrap_or_default();
    match named {
        Some(NameKind::Csv) => return Some(Layout::Table { delimiter: delimiter_of(header) }),
        Some(NameKind::Tsv) => return Some(Layout::Table { delimiter: b'\t' }),
        _ => {}
    }
    let delimiter = delimiter_of(header);
    let names: Vec<&str> = header.split(char::from(delimiter)).map(|name| name.trim().trim_matches('"')).collect();
    let is_name =
        |name: &&str| (1..=40).contains(&name.len()) && name.chars().all(|c| c.is_alphanumeric() || "_- .".contains(c));
    let names_text = names.iter().any(|name| TEXT_COLUMNS.contains(&name.to_lowercase().as_str()));
    if names.len() < 2 || !names.iter().all(is_name) || !names_text {
        return None;
    }
    let mut records = CsvRecords::new(text.as_bytes(), delimiter, delimiter != b'\t');
    let mut widths = Vec::new();
    while widths.len() < RECORDS_COMPARED && records.next().is_ok_and(|line| line.is_some()) {
        widths.push(records.width());
    }
    // The last record in sight may be cut off.
    let compared =
        if whole || widths.len() == RECORDS_COMPARED { widths.len() } else { widths.len().saturating_sub(1) };
    let agree = compared >= 2 && widths[..compared].iter().all(|&width| width == names.len());
    agree.then_some(Layout::Table { delimiter })
}

pub(super) fn read(text: Text<'_, '_>, delimiter: u8, reading: &Reading<'_>, sink: &mut dyn LineSink) -> Result<()> {
    let (name, encoding) = (text.name, text.encoding);
    // Tabs separate without quoting, as data sets of sentences are written: quotes there are part of the text.
    let mut records = CsvRecords::new(text.stream, delimiter, delimiter != b'\t');
    let mut column: Option<(usize, usize)> = None;
    while let Some(number) = records.next().map_err(|failure| reading.error(name, failure))? {
        let (index, width) = match column {
            Some(known) => known,
            None => {
                let fields = (0..records.width()).map(|index| records.field(index));
                let header: Vec<String> = fields.map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect();
                let chosen = choose_column(&header, reading.options, name)?;
                column = Some((chosen.index, header.len()));
                if let Some(notice) = chosen.notice {
                    reading.notice(notice);
                }
                if chosen.has_header {
                    continue;
                }
                (chosen.index, header.len())
            }
        };
        if records.width() != width {
            let error = || DataError::Input {
                path: name.into(),
                place: format!("line {number}"),
                reason: format!("a record of {} columns in a table of {width}", records.width()),
                remedy:
                    "put text that holds the separator in quotes, or go on without such records with --on-error skip, \
                         or read the file as plain text with --format text"
                        .into(),
            };
            reading.skip_or_stop(Bad::Record, || format!("{name}: line {number}"), error)?;
            continue;
        }
        let field = Line { bytes: records.field(index), number, offset: 0, whole: true };
        if let Some(text) = field.decode(name, encoding, reading)? {
            pass_document(&text, sink)?;
        }
    }
    Ok(())
}

/// Which column holds the text.
struct Chosen {
    index: usize,
    /// The first line has names and no text.
    has_header: bool,
    notice: Option<String>,
}

fn choose_column(header: &[String], options: &InputOptions, path: &str) -> Result<Chosen> {
    let key = options.text_key.as_str();
    let named = |name: &str| {
        let exact = header.iter().position(|column| column == name);
        exact.or_else(|| header.iter().position(|column| column.to_lowercase() == name.to_lowercase()))
    };
    if let Some(index) = named(key) {
        return Ok(Chosen { index, has_header: true, notice: None });
    }
    if let Some(number) = key.parse::<usize>().ok().filter(|number| (1..=header.len()).contains(number)) {
        return Ok(Chosen { index: number - 1, has_header: false, notice: None });
    }
    let asked = key != InputOptions::default().text_key;
    let guess = TEXT_COLUMNS.iter().find_map(|name| named(name)).filter(|_| !asked);
    match guess {
        Some(index) => {
            let notice = format!("{path}: the text is taken from the column {:?} (--text-key names another)", header[index]);
            Ok(Chosen { index, has_header: true, notice: Some(notice) })
        }
        None => Err(DataError::Input {
            path: path.into(),
            place: "line 1".into(),
            reason: format!("a table without a column {key:?}; its columns are {}", header.join(", ")),
            remedy: "name the text's column with --text-key, by number if the first line holds no names; or read the file as \
                     plain text with --format text"
                .into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_columns_are_named_guessed_or_numbered() {
        let header = |names: &str| names.split(',').map(str::to_owned).collect::<Vec<_>>();
        let choose = |names: &str, key: &str| {
            let options = InputOptions { text_key: key.into(), ..InputOptions::default() };
            choose_column(&header(names), &options, "a.csv")
                .map(|chosen| (chosen.index, chosen.has_header, chosen.notice.is_some()))
        };
        assert_eq!(choose("id,text", "text").ok(), Some((1, true, false)));
        assert_eq!(choose("id,Text", "text").ok(), Some((1, true, false)));
        assert_eq!(choose("title,content", "text").ok(), Some((1, true, true)));
        assert_eq!(choose("7,some words", "2").ok(), Some((1, false, false)));
        let message = choose("id,words", "text").expect_err("no such column").to_string();
        assert!(message.contains("id, words") && message.contains("--text-key"), "{message}");
        assert!(choose("title,content", "body").is_err(), "a name that was asked for is not replaced");
    }

    #[test]
    fn tables_are_told_from_prose_with_commas() {
        let layout = |text: &str| layout_of(text, true, Some(NameKind::Text));
        assert_eq!(layout("id,text\n1,\"a, b\"\n2,c\n"), Some(Layout::Table { delimiter: b',' }));
        assert_eq!(layout("label\tsentence\n0\ta\n1\tb\n"), Some(Layout::Table { delimiter: b'\t' }));
        assert_eq!(layout("Yes, text\nand more, of it, too\n"), None);
        assert_eq!(layout("red, green\nblue, yellow\n"), None);
        assert_eq!(layout("Text, he said, is a body.\nAnd so on, and on.\n"), None);
    }
}
