use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::sync::{Arc, Mutex, mpsc};

use super::*;

/// One answer of the server: status, headers and body; and after how many bytes of the body it hangs up.
#[derive(Clone)]
struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    cut: Option<usize>,
}

impl Reply {
    fn ok(body: &[u8]) -> Self {
        Self { status: 200, headers: Vec::new(), body: body.to_vec(), cut: None }
    }

    fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }
}

/// What was asked for: method and path, and headers in lower case.
type Request = (String, Vec<String>);

/// A server of its own, which answers by `reply` and remembers what it was asked.
struct Server {
    address: String,
    requests: Arc<Mutex<Vec<Request>>>,
    _stop: mpsc::Sender<()>,
}

impl Server {
    fn start(reply: impl Fn(&Request) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = mpsc::channel::<()>();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let kept = requests.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.try_recv() == Err(mpsc::TryRecvError::Disconnected) {
                    return;
                }
                let mut stream = stream.unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
                let first = lines.next().unwrap_or_default();
                let headers: Vec<String> =
                    lines.take_while(|line| !line.is_empty()).map(|line| line.to_lowercase()).collect();
                let request = (first.trim_end_matches(" HTTP/1.1").to_owned(), headers);
                let reply = reply(&request);
                kept.lock().unwrap().push(request);
                let mut head = format!("HTTP/1.1 {} X\r\ncontent-length: {}\r\n", reply.status, reply.body.len());
                for (name, value) in &reply.headers {
                    head.push_str(&format!("{name}: {value}\r\n"));
                }
                head.push_str("connection: close\r\n\r\n");
                // The client may hang up as soon as it has the headers.
                let _ = stream.write_all(head.as_bytes());
                let _ = stream.write_all(&reply.body[..reply.cut.unwrap_or(reply.body.len())]);
            }
        });
        Self { address, requests, _stop: stop }
    }

    fn paths(&self) -> Vec<String> {
        self.requests.lock().unwrap().iter().map(|(line, _)| line.clone()).collect()
    }
}

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn sha256(bytes: &[u8]) -> String {
    let mut hash = Hash::new(&"0".repeat(64), None).unwrap();
    hash.update(bytes);
    hash.finish()
}

fn git(bytes: &[u8]) -> String {
    let mut hash = Hash::new(&"0".repeat(40), Some(bytes.len() as u64)).unwrap();
    hash.update(bytes);
    hash.finish()
}

fn weights() -> Vec<u8> {
    (0..300_000u32).flat_map(|i| (i.wrapping_mul(2_654_435_761) >> 7).to_le_bytes()).collect()
}

/// The Hub as it answers: a list, small files by another path of the same server, weights by a redirect that names their hash.
fn hub_like(request: &Request, honest: &[u8]) -> Reply {
    let (line, headers) = request;
    let path = line.trim_start_matches("GET ");
    let small = |text: &str| Reply::ok(text.as_bytes()).with("etag", format!("\"{}\"", git(text.as_bytes())));
    match path {
        "/api/models/org/name/revision/main" => {
            let names =
                ["config.json", "vocab.txt", "model.safetensors", "tf_model.h5", "README.md", "onnx/model.onnx"];
            let siblings: Vec<_> = names.iter().map(|name| serde_json::json!({ "rfilename": name })).collect();
            Reply::ok(serde_json::json!({ "sha": COMMIT, "siblings": siblings }).to_string().as_bytes())
        }
        "/org/name/resolve/0123456789abcdef0123456789abcdef01234567/config.json" => {
            Reply { status: 307, ..Reply::ok(b"") }.with("location", "/cache/config.json")
        }
        "/cache/config.json" => small("{}"),
        "/org/name/resolve/0123456789abcdef0123456789abcdef01234567/vocab.txt" => small("[PAD]\n"),
        "/org/name/resolve/0123456789abcdef0123456789abcdef01234567/model.safetensors" => {
            let host = headers.iter().find_map(|line| line.strip_prefix("host: ")).unwrap();
            Reply { status: 302, ..Reply::ok(b"") }
                .with("x-linked-etag", format!("\"{}\"", sha256(honest)))
                .with("x-linked-size", honest.len())
                // Another name of the same machine: the token must not go there.
                .with("location", format!("http://{}/blob", host.replace("127.0.0.1", "localhost")))
        }
        "/blob" => {
            let from =
                headers.iter().find_map(|line| line.strip_prefix("range: bytes=")?.strip_suffix('-')?.parse().ok());
            match from {
                Some(from) => Reply { status: 206, ..Reply::ok(&honest[from..]) },
                None => Reply::ok(honest),
            }
        }
        _ => Reply { status: 404, ..Reply::ok(b"") },
    }
}

fn hub(server: &Server, cache: &Path) -> Hub {
    Hub {
        endpoint: server.address.clone(),
        token: Some("secret".to_owned()),
        is_offline: false,
        cache: cache.to_owned(),
    }
}

const QUIET: fn() -> Terminal = || Terminal::new(true, 0);

#[test]
fn a_repository_is_an_organisation_and_a_name() {
    for text in ["google/electra-small-discriminator", "a/b_c.d-2"] {
        assert_eq!(repository(text), Some(text));
    }
    for text in ["electra", "a/b/c", "/a", "a/", "./a", "../a", "a/..", "~/a", "a/b c", "C:\\a/b"] {
        assert_eq!(repository(text), None, "{text}");
    }
}

#[test]
fn a_network_is_fetched_once_into_the_hubs_own_cache_and_the_token_stays_with_its_server() {
    let server = Server::start(|request| hub_like(request, &weights()));
    let cache = tempfile::tempdir().unwrap();
    let snapshot = hub(&server, cache.path()).fetch("org/name", &QUIET()).unwrap();
    assert_eq!(snapshot, cache.path().join("models--org--name/snapshots").join(COMMIT));
    assert_eq!(fs::read(snapshot.join("model.safetensors")).unwrap(), weights());
    assert_eq!(fs::read_to_string(snapshot.join("config.json")).unwrap(), "{}");
    assert!(cache.path().join("models--org--name/blobs").join(sha256(&weights())).is_file());
    assert_eq!(fs::read_to_string(cache.path().join("models--org--name/refs/main")).unwrap(), COMMIT);
    let mut names: Vec<_> = fs::read_dir(&snapshot).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["config.json", "model.safetensors", "vocab.txt"]);
    for (line, headers) in server.requests.lock().unwrap().iter() {
        let has_token = headers.iter().any(|header| header == "authorization: bearer secret");
        assert_eq!(has_token, line != "GET /blob", "{line}: {headers:?}");
    }

    let asked = server.paths().len();
    let again = Hub { is_offline: true, ..hub(&server, cache.path()) }.fetch("org/name", &QUIET()).unwrap();
    assert_eq!((again, server.paths().len()), (snapshot.clone(), asked), "what is there is not asked for");
    // A blob that was removed to save space.
    fs::remove_file(cache.path().join("models--org--name/blobs").join(sha256(&weights()))).unwrap();
    hub(&server, cache.path()).fetch("org/name", &QUIET()).unwrap();
    assert_eq!(fs::read(snapshot.join("model.safetensors")).unwrap(), weights());
}

#[test]
fn what_was_cut_off_goes_on_and_what_is_damaged_is_thrown_away() {
    let cache = tempfile::tempdir().unwrap();
    let is_first = Mutex::new(true);
    let server = Server::start(move |request| {
        let mut reply = hub_like(request, &weights());
        if request.0 == "GET /blob" && std::mem::take(&mut *is_first.lock().unwrap()) {
            reply.cut = Some(500_000);
        }
        reply
    });
    let error = hub(&server, cache.path()).fetch("org/name", &QUIET()).unwrap_err();
    assert!(format!("{error:#}").contains("goes on where it ended"), "{error:#}");
    let snapshot = hub(&server, cache.path()).fetch("org/name", &QUIET()).unwrap();
    assert_eq!(fs::read(snapshot.join("model.safetensors")).unwrap(), weights());
    let requests = server.requests.lock().unwrap();
    let ranges: Vec<&String> =
        requests.iter().flat_map(|(_, headers)| headers.iter().filter(|header| header.starts_with("range"))).collect();
    assert!(ranges.iter().any(|range| range.starts_with("range: bytes=") && !range.ends_with("=0-")), "{ranges:?}");

    let cache = tempfile::tempdir().unwrap();
    let server = Server::start(|request| match request.0.as_str() {
        "GET /blob" => {
            let mut other = weights();
            other[77] ^= 1;
            Reply::ok(&other)
        }
        _ => hub_like(request, &weights()),
    });
    let error = format!("{:#}", hub(&server, cache.path()).fetch("org/name", &QUIET()).unwrap_err());
    assert!(error.contains("model.safetensors") && error.contains(&sha256(&weights())), "{error}");
    let blobs = cache.path().join("models--org--name/blobs");
    let left: Vec<_> = fs::read_dir(blobs).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with(&sha256(&weights()))), "{left:?}");
    assert!(kept(&cache.path().join("models--org--name")).is_none());
}

#[test]
fn what_cannot_be_had_is_one_message_with_a_remedy() {
    let cache = tempfile::tempdir().unwrap();
    let message = |hub: Hub| format!("{:#}", hub.fetch("org/other", &QUIET()).unwrap_err());
    let server = Server::start(|request| hub_like(request, &weights()));
    let absent = message(hub(&server, cache.path()));
    assert!(absent.contains("org/other") && absent.contains("HF_TOKEN") && absent.contains("404"), "{absent}");
    let offline = message(Hub { is_offline: true, ..hub(&server, cache.path()) });
    assert!(offline.contains("HF_HUB_OFFLINE") && offline.contains("no folder of this name"), "{offline}");
    // A port at which nobody listens.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nobody = message(Hub { endpoint: format!("http://127.0.0.1:{port}"), ..hub(&server, cache.path()) });
    assert!(nobody.contains("cannot be reached") && nobody.contains("check the connection"), "{nobody}");
}

#[test]
fn files_are_chosen_by_what_is_read() {
    assert_eq!(
        wanted(&["vocab.txt", "config.json", "model.safetensors", "pytorch_model.bin"]).unwrap(),
        ["config.json", "vocab.txt", "model.safetensors"]
    );
    let parts =
        ["config.json", "pytorch_model.bin.index.json", "pytorch_model-00001-of-00001.bin", "onnx/pytorch_model-1.bin"];
    assert_eq!(wanted(&parts).unwrap(), [parts[0], parts[2], parts[1]]);
    assert!(wanted(&["model.safetensors"]).unwrap_err().to_string().contains("config.json"));
    assert!(wanted(&["config.json", "tf_model.h5"]).unwrap_err().to_string().contains("model.safetensors"));
}
