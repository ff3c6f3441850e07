use electra_task::table::{Table, TableFormat, TableOptions, Trouble};

fn table(name: &str, text: &str) -> Table {
    Table::from_bytes(name, text.as_bytes(), &TableOptions::default()).expect("a table")
}

fn cells(table: &Table) -> Vec<Vec<&str>> {
    table.rows().map(|row| (0..table.columns().len()).map(|column| row.cell(column)).collect()).collect()
}

#[test]
fn every_layout_gives_the_same_table() {
    let expected = vec![vec!["one, \"two\"", "a"], vec!["naïve | ; x", "b"]];
    for (name, text) in [
        ("a.csv", "text,label\n\"one, \"\"two\"\"\",a\nnaïve | ; x,b\n"),
        ("a.csv", "\u{feff}text,label\r\n\"one, \"\"two\"\"\",a\r\n\r\nnaïve | ; x,b"),
        ("a.csv", "text;label\n\"one, \"\"two\"\"\";a\n\"naïve | ; x\";b\n"),
        ("a.csv", "text|label\n\"one, \"\"two\"\"\"|a\n\"naïve | ; x\"|b\n"),
        ("a.tsv", "text\tlabel\none, \"two\"\ta\nnaïve | ; x\tb\n"),
        ("a.txt", "text\tlabel\none, \"two\"\ta\nnaïve | ; x\tb\n"),
        (
            "a.jsonl",
            "{\"text\": \"one, \\\"two\\\"\", \"label\": \"a\"}\n\n{\"text\": \"naïve | ; x\", \"label\": \"b\"}\n",
        ),
        (
            "a.json",
            "[{\"text\": \"one, \\\"two\\\"\", \"label\": \"a\"},\n {\"label\": \"b\", \"text\": \"naïve | ; x\"}]",
        ),
        (
            "a.json",
            "[\n {\n  \"text\": \"one, \\\"two\\\"\",\n  \"label\": \"a\"\n },\n {\"text\": \"naïve | ; x\", \"label\": \"b\"}\n]",
        ),
        ("a", "{\"text\": \"one, \\\"two\\\"\", \"label\": \"a\"}\n{\"text\": \"naïve | ; x\", \"label\": \"b\"}\n"),
    ] {
        let table = table(name, text);
        assert_eq!(table.columns(), ["text", "label"], "{text}");
        assert_eq!(cells(&table), expected, "{text}");
        assert!(table.report().problems().is_empty(), "{text}");
        let wide: Vec<u8> = format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_be_bytes).collect();
        let wide = Table::from_bytes(name, &wide, &TableOptions::default()).expect("UTF-16");
        assert_eq!(cells(&wide), expected, "UTF-16: {text}");
    }
}

#[test]
fn a_quoted_newline_is_part_of_its_cell_and_lines_are_counted_past_it() {
    let table = table("a.csv", "text,label\n\"two\nlines\",a\nb,b\n\n\nc,c\n");
    assert_eq!(cells(&table), [["two\nlines", "a"], ["b", "b"], ["c", "c"]]);
    assert_eq!(table.rows().map(|row| row.line()).collect::<Vec<_>>(), [2, 4, 7]);
}

#[test]
fn malformed_rows_are_counted_with_their_lines_and_reasons() {
    let text = b"text,label\na,1\nb\nc,2,3\n\xff,4\nd,5\n\"e\nf,6\n";
    let table = Table::from_bytes("a.csv", text, &TableOptions::default()).expect("a table");
    assert_eq!(cells(&table), [["a", "1"], ["d", "5"]]);
    assert_eq!(table.report().count(Trouble::Malformed), 4);
    let sentence = &table.report().sentences()[0];
    for said in
        ["line 3: 1 fields instead of 2", "line 4: 3 fields", "line 5: not valid UTF-8", "line 7: a quote opens"]
    {
        assert!(sentence.contains(said), "{sentence}");
    }
}

#[test]
fn a_quote_that_never_closes_in_the_last_column_is_no_row() {
    let table = table("a.csv", "label,text\n1,a\n2,\"b\n3,c\n4,d\n");
    assert_eq!(cells(&table), [["1", "a"]]);
    assert!(table.report().sentences()[0].contains("never closes, over 3 lines"), "{:?}", table.report());
}

#[test]
fn broken_json_is_counted_and_what_python_writes_is_read() {
    let table = table(
        "a.jsonl",
        "{\"t\": \"a\", \"n\": NaN}\n{\"t\": \"b\"\n[1]\n{\"t\": \"c\", \"new\": [1, \"x\"], \"n\": 0.5}\n",
    );
    assert_eq!(table.columns(), ["t", "n", "new"]);
    assert_eq!(cells(&table), [["a", "", ""], ["c", "0.5", "[1,\"x\"]"]]);
    assert_eq!(table.report().count(Trouble::Malformed), 2);
    let cut = Table::from_bytes("a.json", b"[{\"t\": \"a\"},\n{\"t\": ", &TableOptions::default()).expect("a table");
    assert_eq!((cut.len(), cut.report().count(Trouble::Malformed)), (1, 1));
}

#[test]
fn a_file_without_rows_is_an_error_that_says_why() {
    for (text, said) in [
        ("", "the file is empty"),
        ("\n\n", "the file is empty"),
        ("text,label\n", "no rows below the column names text, label"),
        ("text,label\na\nb\n", "line 2: 1 fields instead of 2"),
        ("[]", "empty"),
    ] {
        let name = if text == "[]" { "a.json" } else { "a.csv" };
        let error = Table::from_bytes(name, text.as_bytes(), &TableOptions::default()).expect_err("no rows");
        assert!(error.to_string().contains(said) && error.to_string().starts_with(name), "{error}");
    }
}

#[test]
fn a_table_without_names_has_numbers_for_them() {
    let without = table("a.csv", "1,some text\n0,other text\n");
    assert!(!without.has_header());
    assert_eq!((without.columns(), without.len()), (["1".to_owned(), "2".to_owned()].as_slice(), 2));
    let options = TableOptions { header: Some(true), ..TableOptions::default() };
    assert_eq!(Table::from_bytes("a.csv", b"1,x\n0,y\n", &options).expect("a table").len(), 1);
    // pandas leaves its index without a name.
    assert!(table("a.csv", ",text\n0,a\n").has_header());
}

#[test]
fn a_table_of_one_column_may_hold_commas() {
    let one = table("a.csv", "text\nHello, world\n\"Quoted, too\"\n");
    assert_eq!(cells(&one), [["Hello, world"], ["Quoted, too"]]);
    let options = TableOptions { format: Some(TableFormat::Tsv), ..TableOptions::default() };
    let tabs = Table::from_bytes("a.csv", b"a,b\tc\n\"x\ty\n", &options).expect("a table");
    assert_eq!(cells(&tabs), [["\"x", "y"]]);
}

#[cfg(feature = "native")]
#[test]
fn packed_files_are_read_whatever_their_names_say() {
    use std::io::Write;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(b"text,label\na,b\n").expect("compressed");
    let path = folder.path().join("a.csv");
    std::fs::write(&path, encoder.finish().expect("compressed")).expect("written");
    assert_eq!(cells(&Table::open(&path, &TableOptions::default()).expect("a table")), [["a", "b"]]);
}
