use super::*;

/// A file that PyTorch wrote: tests/fixtures/pytorch/make_pytorch.py.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/pytorch").join(name)
}

fn failure(path: &Path) -> String {
    match PytorchFile::open(path) {
        Ok(_) => panic!("{}: an error is expected", path.display()),
        Err(error) => error.to_string(),
    }
}

#[test]
fn tensors_are_read_as_pytorch_wrote_them() {
    let file = PytorchFile::open(&fixture("state.bin")).unwrap();
    let names: Vec<&str> = file.names().collect();
    assert_eq!(names, ["brain", "half", "one", "parameter", "position_ids", "row", "shared", "table", "transposed"]);
    let table: Vec<f32> = (0..12u8).map(|i| f32::from(i) / 4.0).collect();
    let values = |name: &str, shape: &[usize]| file.tensor(name, Some(shape)).unwrap().values;
    assert_eq!(values("table", &[3, 4]), table);
    assert_eq!(values("shared", &[3, 4]), table);
    assert_eq!(values("row", &[4]), table[4..8]);
    let transposed: Vec<f32> = (0..12).map(|i| table[i % 3 * 4 + i / 3]).collect();
    assert_eq!(values("transposed", &[4, 3]), transposed);
    assert_eq!(values("half", &[2]), [1.5, -2.0]);
    assert_eq!(values("brain", &[2, 1]), [1.5, -2.0]);
    assert_eq!(values("one", &[]), [7.25]);
    assert_eq!(values("parameter", &[1]), [0.5]);
    let message = file.tensor("table", Some(&[4, 3])).unwrap_err().to_string();
    assert!(message.contains("[3, 4], but [4, 3]"), "{message}");
    let message = file.tensor("position_ids", None).unwrap_err().to_string();
    assert!(message.contains("LongStorage"), "{message}");
    // What a module gives is an OrderedDict with attributes.
    let module = PytorchFile::open(&fixture("module.bin")).unwrap();
    assert_eq!(module.names().collect::<Vec<_>>(), ["bias", "weight"]);
    assert_eq!(module.tensor("weight", Some(&[1, 2])).unwrap().values.len(), 2);
}

#[test]
fn what_is_no_dictionary_of_tensors_is_refused_and_never_executed() {
    for (name, expected) in
        [("calls.bin", "posix.mkdir"), ("before_1_6.bin", "before 1.6"), ("list.bin", "no dictionary of tensors")]
    {
        let message = failure(&fixture(name));
        assert!(message.contains(expected) && message.contains("save_pretrained"), "{message}");
    }
    assert!(!Path::new("executed").exists());
    // Few bytes that claim to be many numbers.
    let file = PytorchFile::open(&fixture("expanded.bin")).unwrap();
    let message = file.tensor("large", None).unwrap_err().to_string();
    assert!(message.contains("reaches out of its storage"), "{message}");
    let folder = tempfile::tempdir().unwrap();
    assert!(failure(&folder.path().join("absent.bin")).contains("check the path"));
}

#[test]
fn a_damaged_file_is_an_error_wherever_it_is_damaged() {
    let whole = std::fs::read(fixture("state.bin")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.bin");
    let names = ["table", "transposed", "half"];
    let read =
        || PytorchFile::open(&path).and_then(|file| names.map(|name| file.tensor(name, None)).into_iter().collect());
    std::fs::write(&path, &whole).unwrap();
    let expected: Vec<HostTensor> = read().unwrap();
    for len in (0..whole.len()).step_by(13) {
        std::fs::write(&path, &whole[..len]).unwrap();
        let found: Result<Vec<HostTensor>> = read();
        assert!(found.unwrap_err().to_string().contains("w.bin"), "{len} bytes");
    }
    // A byte that is another one is found by a checksum, or does not matter.
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        std::fs::write(&path, &bytes).unwrap();
        if let Ok(found) = read() {
            assert_eq!(found, expected, "byte {at}");
        }
    }
}
