//! Records of separated fields: CSV with any separator, fields in quotes where they need them; and text that tabs separate.

use std::io::{self, BufRead};

use csv_core::ReadRecordResult;

use super::MAX_RECORD_BYTES;

const DELIMITERS: &[u8] = b",\t;|";

/// What separates columns in a first line: the likeliest character that is in it most often outside quotes.
pub fn delimiter_of(header: &str) -> u8 {
    let mut in_quotes = false;
    let mut counts = [0; DELIMITERS.len()];
    for byte in header.bytes() {
        if byte == b'"' {
            in_quotes = !in_quotes;
        } else if let Some(at) = DELIMITERS.iter().position(|&delimiter| delimiter == byte && !in_quotes) {
            counts[at] += 1;
        }
    }
    let most = *counts.iter().max().unwrap_or(&0);
    counts.iter().position(|&count| count == most).map_or(b',', |at| DELIMITERS[at])
}

/// Cuts a stream into records and their fields. Blank lines are no records.
pub struct CsvRecords<R> {
    stream: R,
    parser: csv_core::Reader,
    fields: Vec<u8>,
    /// Where each field ends among the fields' bytes.
    ends: Vec<usize>,
    /// Fields of the record at hand.
    width: usize,
    lines: LineCount,
    /// Of the record at hand, quotes in its bytes as they stand in the file; and whether the file ended within it.
    quotes: u64,
    at_end: bool,
    quoting: bool,
}

impl<R: BufRead> CsvRecords<R> {
    /// The records of `stream`. With `quoting` a field may stand in quotes, and hold separators, line ends and doubled quotes then.
    pub fn new(stream: R, delimiter: u8, quoting: bool) -> Self {
        let parser = csv_core::ReaderBuilder::new().delimiter(delimiter).quoting(quoting).build();
        Self {
            stream,
            parser,
            fields: vec![0; 1 << 12],
            ends: vec![0; 16],
            width: 0,
            lines: LineCount { line: 1, after_return: false },
            quotes: 0,
            at_end: false,
            quoting,
        }
    }

    /// Fields of the record found last.
    pub fn width(&self) -> usize {
        self.width
    }

    /// One of the fields of the record found last.
    pub fn field(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.fields[start..self.ends[index]]
    }

    /// The line behind the record found last.
    pub fn next_line(&self) -> u64 {
        self.lines.line
    }

    /// Whether the text ended within a field in quotes of the record found last: a quote that opens and never closes takes in all that
    /// follows it.
    pub fn ends_in_quotes(&self) -> bool {
        self.quoting && self.at_end && self.quotes % 2 == 1
    }

    /// Finds the next record and returns the number of its line, from 1; `None` at the end.
    ///
    /// # Errors
    /// What reading meets, and a record longer than [`MAX_RECORD_BYTES`].
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> io::Result<Option<u64>> {
        self.pass_line_ends()?;
        let line = self.lines.line;
        let (mut bytes, mut ends) = (0, 0);
        self.quotes = 0;
        loop {
            let input = self.stream.fill_buf()?;
            self.at_end = input.is_empty();
            let (result, taken, written, ended) =
                self.parser.read_record(input, &mut self.fields[bytes..], &mut self.ends[ends..]);
            self.lines.pass(&input[..taken]);
            self.quotes += input[..taken].iter().filter(|&&byte| byte == b'"').count() as u64;
            self.stream.consume(taken);
            bytes += written;
            ends += ended;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if bytes >= MAX_RECORD_BYTES => {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        format!(
                            "the record at line {line} is longer than 64 MiB: a quote that opens and never closes? \
                             (--format text reads plain text)"
                        ),
                    ));
                }
                ReadRecordResult::OutputFull => self.fields.resize(2 * self.fields.len(), 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(2 * self.ends.len(), 0),
                ReadRecordResult::Record => {
                    self.width = ends;
                    return Ok(Some(line));
                }
                ReadRecordResult::End => return Ok(None),
            }
        }
    }

    /// Passes over line ends, so that a record's line is that of its first byte.
    fn pass_line_ends(&mut self) -> io::Result<()> {
        loop {
            let input = self.stream.fill_buf()?;
            let ends = input.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
            if ends == 0 {
                return Ok(());
            }
            self.lines.pass(&input[..ends]);
            self.stream.consume(ends);
        }
    }
}

/// Counts lines, whatever ends them: LF, CR LF, or CR alone.
struct LineCount {
    /// From 1.
    line: u64,
    after_return: bool,
}

impl LineCount {
    fn pass(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.line += u64::from(byte == b'\r' || (byte == b'\n' && !self.after_return));
            self.after_return = byte == b'\r';
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_and_records(text: &str) -> Vec<(u64, Vec<String>)> {
        let mut records = CsvRecords::new(text.as_bytes(), b',', true);
        let mut found = Vec::new();
        while let Some(line) = records.next().expect("read from memory") {
            let fields = (0..records.width()).map(|at| String::from_utf8_lossy(records.field(at)).into_owned());
            found.push((line, fields.collect()));
        }
        found
    }

    #[test]
    fn separators_are_told_by_the_first_line() {
        assert_eq!(delimiter_of("\"a;b\",c;d;e"), b';');
        assert_eq!(delimiter_of("text"), b',');
    }

    #[test]
    fn a_record_has_the_line_of_its_first_byte_whatever_ends_lines() {
        for end in ["\n", "\r\n", "\r"] {
            let text = format!("a,b{end}{end}{end}\"x{end}y\",2{end}3,4");
            let found = lines_and_records(&text);
            assert_eq!(found.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 4, 6], "{end:?}");
            assert_eq!(found[1].1, [format!("x{end}y"), "2".into()]);
        }
    }

    #[test]
    fn a_quote_that_never_closes_is_noticed() {
        for (text, open) in
            [("a,\"b\nc,d\n", true), ("a,\"b\nc\",d\n", false), ("a,\"b\"", false), ("5\" a,b\nc,d\n", false)]
        {
            let mut records = CsvRecords::new(text.as_bytes(), b',', true);
            let mut ends_in_quotes = false;
            while records.next().expect("read").is_some() {
                ends_in_quotes |= records.ends_in_quotes();
            }
            assert_eq!(ends_in_quotes, open, "{text:?}");
        }
    }
}
