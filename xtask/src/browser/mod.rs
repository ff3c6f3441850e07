//! Electra in a browser: its own compiler takes every shader, and a page computes what the repository's tests compute.
//!
//! Headless Chromium, whose WebGPU runs on SwiftShader, is shown a page, and posts what it found. A server of a few lines lies
//! between, since a page of a file may neither fetch nor post.

mod checks;
mod shaders;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) use self::checks::build;
use crate::prerequisites;
use crate::stage::target_dir;

pub(crate) fn check() -> Result<(), String> {
    let failures: Vec<String> = [shaders::check(), checks::check()].into_iter().filter_map(Result::err).collect();
    if failures.is_empty() { Ok(()) } else { Err(failures.join("; ")) }
}

/// What is at a path of the page's server: its type and its bytes.
type Content = Option<(&'static str, Vec<u8>)>;

/// Shows the page `/` of `content` to a browser, and gives what it posts to `/result`. What it posts elsewhere is printed.
///
/// # Errors
/// There is no browser, or it ends or posts nothing within `patience`.
fn show(content: impl Fn(&str) -> Content, patience: Duration) -> Result<String, String> {
    let chromium = prerequisites::chromium().ok_or(prerequisites::NO_CHROMIUM)?;
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| format!("no port to serve from: {error}"))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let profile = target_dir()?.join("browser-profile");
    let mut browser = start(&chromium, &profile, &format!("http://{address}/"))?;
    let result = serve(&listener, content, patience, &mut browser);
    // It may have ended by itself.
    let _ = browser.kill();
    let _ = browser.wait();
    result
}

fn start(chromium: &Path, profile: &Path, address: &str) -> Result<Child, String> {
    let mut command = Command::new(chromium);
    command.args(["--headless=new", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--no-first-run"]);
    // Nothing here comes from outside, and as root, as in a container, it does not start otherwise.
    command.args(["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]);
    command.arg(format!("--user-data-dir={}", profile.display())).arg(address);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    child.map_err(|error| format!("{}: {error}", chromium.display()))
}

/// Hands out content until a result is posted.
fn serve(
    listener: &TcpListener,
    content: impl Fn(&str) -> Content,
    patience: Duration,
    browser: &mut Child,
) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("the page's server: {error}");
    listener.set_nonblocking(true).map_err(failed)?;
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline {
        match listener.accept() {
            Ok((stream, _)) => {
                // A connection that the browser opened in advance and never used is none of ours.
                let Ok(Some((path, posted))) = answer(stream, &content) else { continue };
                if path == "/result" {
                    return Ok(posted);
                }
                eprintln!("{posted}");
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                if let Ok(Some(status)) = browser.try_wait() {
                    return Err(format!("the browser ended with {status}"));
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(error) => return Err(failed(error)),
        }
    }
    Err(format!("the browser had not finished after {} seconds", patience.as_secs()))
}

/// Answers one request; of a POST, its path and its body.
fn answer(stream: TcpStream, content: impl Fn(&str) -> Content) -> std::io::Result<Option<(String, String)>> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    let mut reader = BufReader::new(&stream);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let is_post = request.starts_with("POST ");
    let path = request.split(' ').nth(1).unwrap_or_default();
    let found = if is_post { Some(("text/plain", Vec::new())) } else { content(path) };
    let status = if found.is_some() { "200 OK" } else { "404 Not Found" };
    let (kind, bytes) = found.unwrap_or(("text/plain", Vec::new()));
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n", bytes.len());
    (&stream).write_all(format!("{head}Connection: close\r\n\r\n").as_bytes())?;
    (&stream).write_all(&bytes)?;
    Ok(is_post.then(|| (path.to_owned(), String::from_utf8_lossy(&body).into_owned())))
}
