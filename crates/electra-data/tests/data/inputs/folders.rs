//! Folders, globs, links and pipes: what is taken, once, and what is left out with its reason.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use electra_data::Result;
use electra_data::input::{Format, InputOptions, TextSource};

use super::archives::{bzip2, zip};
use super::{Documents, TEXT, expected, read, read_source};

/// A file that was left out, and the reason.
type LeftOut = (String, String);

/// The names of a folder's files in order, those taken and those left out with their reasons.
fn walk(folder: &Path, options: InputOptions) -> Result<(Vec<String>, Vec<LeftOut>)> {
    let inside =
        |path: &str| Path::new(path).strip_prefix(folder).map_or(path.into(), |path| path.display().to_string());
    let source = TextSource::find(&[folder], options)?;
    let left_out = source.found().left_out.iter();
    let left_out = left_out.map(|left_out| (inside(&left_out.path), left_out.reason.clone())).collect();
    assert!(source.found().summary().starts_with(&format!("took {} file", source.names().len())));
    Ok((source.names().iter().map(|name| inside(name)).collect(), left_out))
}

#[test]
fn a_folder_gives_what_is_text_and_names_the_rest() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("inside")).expect("made");
        std::fs::write(path, content).expect("written");
    };
    let files: [(&str, &[u8], Option<&str>); 19] = [
        (".git/config", TEXT, Some("hidden")),
        (".hidden.txt", TEXT, Some("hidden")),
        ("AA/wiki_00", TEXT, Some("no text by its name, which --format text takes whatever it is")),
        ("LICENSE", TEXT, Some("a licence")),
        ("README.md", TEXT, Some("a README")),
        ("a.txt", TEXT, None),
        ("b.txt.bz2", &bzip2(TEXT), None),
        ("c.csv", b"text\nOne.\n", None),
        ("d.zip", &zip(&[("in.txt", TEXT)]), None),
        ("data.arrow", b"\xff\xff\xff\xffp\0\0\0\x10", Some("an Arrow file")),
        ("dataset_info.json", b"{\n\"features\": {\"text\": 1}}", Some("about a data set")),
        ("e.jsonl", b"{\"text\": \"One.\"}\n", None),
        ("f.json", b"{\"setting\": 1}\n", Some("JSON without the key \"text\"")),
        ("g.pdf", b"%PDF-1.5\n", Some("a PDF document")),
        ("h.lock", b"", Some("a lock")),
        ("part-00000", b"{\"text\": \"One.\"}\n", None),
        ("tok/tokenizer_config.json", b"{}", Some("of a tokenizer")),
        ("tok/vocab.txt", b"[PAD]\n[UNK]\n", Some("of a tokenizer")),
        ("z.py", b"print(1)\n", Some("no text by its name, which --format text takes whatever it is")),
    ];
    files.iter().for_each(|(name, content, _)| write(name, content));
    let (taken, left_out) = walk(folder.path(), InputOptions::default()).expect("found");
    let names: Vec<&str> = files.iter().filter(|file| file.2.is_none()).map(|file| file.0).collect();
    assert_eq!(taken, names);
    let reasons: Vec<(String, String)> = files
        .iter()
        .filter_map(|&(name, _, reason)| {
            Some((if name.starts_with(".git") { ".git" } else { name }.into(), reason?.into()))
        })
        .collect();
    assert_eq!(left_out, reasons);
    let source = TextSource::find(&[folder.path()], InputOptions::default()).expect("found");
    assert_eq!(read_source(&source).expect("read").len(), 3 * 2 + 3);

    let forced = InputOptions { format: Some(Format::Text), ..InputOptions::default() };
    assert_eq!(walk(&folder.path().join("AA"), forced).expect("found").0, ["wiki_00"]);
    let message = walk(&folder.path().join("tok"), InputOptions::default()).expect_err("no text").to_string();
    assert!(message.contains("no text") && message.contains("of a tokenizer"), "{message}");
}

#[test]
fn this_programs_own_datasets_and_runs_are_no_corpus() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("a.txt"), TEXT).expect("written");
    let source = TextSource::memory("test", vec![vec!["the meals".into(); 9]]);
    let options = electra_data::BuildOptions::default();
    let tokenizer = crate::support::tokenizer(true);
    electra_data::build(&source, &tokenizer, folder.path().join("data"), &options, &mut crate::support::quiet)
        .expect("built");
    std::fs::create_dir(folder.path().join("run")).expect("made");
    for name in ["run.toml", "metrics.jsonl"] {
        std::fs::write(folder.path().join("run").join(name), "{\"step\": 1}\n").expect("written");
    }
    let (taken, left_out) = walk(folder.path(), InputOptions::default()).expect("found");
    assert_eq!(taken, ["a.txt"]);
    assert_eq!(left_out[0], ("data".into(), "a dataset of this program".into()));
    assert_eq!(left_out[1], ("run".into(), "a run of this program".into()));
}

#[test]
#[cfg(unix)]
fn each_file_is_taken_once_and_what_is_no_file_is_not_opened() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let root = folder.path().join("root");
    std::fs::create_dir_all(root.join("sub")).expect("made");
    std::fs::write(root.join("a.txt"), TEXT).expect("written");
    std::fs::hard_link(root.join("a.txt"), root.join("same.txt")).expect("linked");
    std::os::unix::fs::symlink(".", root.join("loop")).expect("linked");
    std::os::unix::fs::symlink("../a.txt", root.join("sub/link.txt")).expect("linked");
    std::os::unix::fs::symlink("nowhere", root.join("broken.txt")).expect("linked");
    let _socket = std::os::unix::net::UnixListener::bind(root.join("socket.txt")).expect("bound");
    let made = std::process::Command::new("mkfifo").arg(root.join("pipe.txt")).status().expect("mkfifo");
    assert!(made.success());
    let (taken, left_out) = walk(&root, InputOptions::default()).expect("found");
    assert_eq!(taken, ["a.txt"]);
    let once = "taken already, under this name or another";
    let reasons = [
        ("broken.txt", "a link that leads nowhere"),
        ("loop", once),
        ("pipe.txt", "a pipe"),
        ("same.txt", once),
        ("socket.txt", "a socket"),
        ("sub/link.txt", once),
    ];
    assert_eq!(left_out, reasons.map(|(name, reason)| (name.to_owned(), reason.to_owned())));

    let found = |paths: &[&Path]| TextSource::find(paths, InputOptions::default()).expect("found").names().len();
    assert_eq!(found(&[&root.join("a.txt"), &root]), 1);
    assert_eq!(found(&[&root, &root.join("."), &root.join("sub"), &root.join("same.txt")]), 1);
    // A link's target outside is taken, once.
    std::fs::write(folder.path().join("outside.txt"), TEXT).expect("written");
    std::os::unix::fs::symlink("../outside.txt", root.join("x.txt")).expect("linked");
    assert_eq!(found(&[&root]), 2);

    let odd = folder.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9.txt"));
    std::fs::write(&odd, TEXT).expect("written");
    assert_eq!(read(&odd).expect("read"), expected());

    // A pipe that is named is read, as standard input is.
    let pipe = root.join("pipe.txt");
    let source = TextSource::find(&[&pipe], InputOptions::default()).expect("found");
    assert_eq!(source.input_bytes(), None);
    let writer = std::thread::spawn(move || std::fs::write(pipe, TEXT));
    let mut documents = Documents::default();
    source.read(&mut documents, &Arc::new(AtomicU64::new(0))).expect("read");
    writer.join().expect("joined").expect("written");
    assert_eq!(documents.0, expected());
}

#[test]
fn globs_are_matched_and_mistakes_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for name in ["b.txt", "a.txt", ".c.txt", "README.txt"] {
        std::fs::write(folder.path().join(name), TEXT).expect("written");
    }
    let find = |paths: &[String]| TextSource::find(paths, InputOptions::default()).map(|source| source.names());
    let root = folder.path().display();
    assert_eq!(find(&[format!("{root}/*.txt")]).expect("found"), [format!("{root}/a.txt"), format!("{root}/b.txt")]);
    for (paths, part) in [
        (vec![format!("{root}/*.nothing")], "no file matches"),
        (vec![format!("{root}/missing.txt")], "no such file"),
        (vec!["-".into(), "-".into()], "named twice"),
        (vec![], "no path given"),
    ] {
        let message = find(&paths).expect_err("refused").to_string();
        assert!(message.contains(part), "{message}");
    }
}
