//! `electra serve`: a folder over HTTP, on this machine alone.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use crate::support::program::{electra, run};

/// A server of a folder with three files, beside one that nobody may read.
struct Served {
    _folder: tempfile::TempDir,
    child: Child,
    address: String,
}

impl Served {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let page = folder.path().join("page");
        std::fs::create_dir_all(page.join("assets")).expect("a folder");
        for (name, text) in
            [("index.html", "<!doctype html>the page"), ("assets/a.wasm", "\0asm"), ("assets/b.js", "1")]
        {
            std::fs::write(page.join(name), text).expect("it is written");
        }
        std::fs::write(folder.path().join("secret.txt"), "secret").expect("it is written");
        let mut child = electra(["serve", "--port", "0", "--page"])
            .arg(&page)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("piped")).read_line(&mut line).expect("a line");
        let address = line.trim().strip_prefix("http://").and_then(|rest| rest.strip_suffix('/')).expect("an address");
        let address = address.to_owned();
        Self { _folder: folder, child, address }
    }

    /// What is answered to a GET, headers in lower case.
    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address)
            .expect("it is sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("text");
        answer.to_lowercase()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_page_is_served_with_its_types_and_what_keeps_others_out() {
    let served = Served::new();
    assert!(served.address.starts_with("127.0.0.1:"), "{}", served.address);
    let page = served.get("/");
    assert!(page.starts_with("http/1.1 200") && page.ends_with("the page"), "{page}");
    for header in [
        "content-type: text/html",
        "x-content-type-options: nosniff",
        "cross-origin-opener-policy: same-origin",
        "cross-origin-embedder-policy: require-corp",
        "content-security-policy: frame-ancestors 'none'",
        "cache-control: no-cache",
        "last-modified: ",
    ] {
        assert!(page.contains(header), "{header}: {page}");
    }
    assert!(served.get("/assets/a.wasm").contains("content-type: application/wasm"));
    assert!(served.get("/assets/b.js").contains("content-type: text/javascript"));
    assert!(served.get("/missing.js").starts_with("http/1.1 404"));
}

#[test]
fn nothing_beside_the_folder_is_served() {
    let served = Served::new();
    for path in ["/../secret.txt", "/assets/../../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt"] {
        let answer = served.get(path);
        assert!(answer.starts_with("http/1.1 4") && !answer.ends_with("secret"), "{path}: {answer}");
    }
}

#[test]
fn a_page_that_is_not_there_and_a_port_that_is_taken_are_one_message_each() {
    let empty = tempfile::tempdir().expect("a folder");
    let name = empty.path().display().to_string();
    run(["serve", "--page", &name]).expect_bad_input(&[&name, "index.html", "cargo xtask web"]);
    let served = Served::new();
    let port = served.address.rsplit(':').next().expect("a port");
    std::fs::write(empty.path().join("index.html"), "the page").expect("it is written");
    run(["serve", "--page", &name, "--port", port]).expect_bad_input(&[port, "--port 0"]);
}
