//! Every variant of the shaders in a browser's own compiler, which is stricter than naga: uniform control flow at barriers,
//! aliasing, the limits that WebGPU promises.
//!
//! The kernels' tests write the texts of all variants that they launch into a folder; a page with all of them goes to
//! headless Chromium, whose WebGPU runs on SwiftShader, and posts what the compiler said. A server of a few lines lies
//! between, since a page of a file may not post.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::prerequisites;
use crate::stage::{cargo, run, target_dir};

/// How long the browser may take for all shaders; a quiet machine of two cores needs half a minute.
const PATIENCE: Duration = Duration::from_secs(600);

/// Compiles every shader, and makes pipelines of the first and last variant of each stem.
const SCRIPT: &str = r#"
const lines = [];
try {
  const adapter = await navigator.gpu?.requestAdapter();
  if (!adapter) throw new Error('the browser offers no WebGPU adapter');
  const half = adapter.features.has('shader-f16');
  const device = await adapter.requestDevice({ requiredFeatures: half ? ['shader-f16'] : [] });
  const shaders = [...document.querySelectorAll('script[type="text/wgsl"]')];
  const stem = (shader) => shader?.id.replace(/_\d+\.wgsl$/, '');
  let compiled = 0;
  for (const [i, shader] of shaders.entries()) {
    const code = shader.textContent;
    if (code.includes('enable wgpu_') || (code.includes('enable f16;') && !half)) continue;
    const module = device.createShaderModule({ code });
    const { messages } = await module.getCompilationInfo();
    const wrong = messages.filter((m) => m.type !== 'info').map((m) => `line ${m.lineNum}: ${m.type}: ${m.message}`);
    const isEdge = stem(shaders[i - 1]) !== stem(shader) || stem(shaders[i + 1]) !== stem(shader);
    if (!wrong.length && isEdge) {
      const compute = { module, entryPoint: 'main' };
      await device.createComputePipelineAsync({ layout: 'auto', compute }).catch((e) => wrong.push(e.message));
    }
    if (wrong.length) lines.push(`${shader.id}: ${wrong.join('; ')}`);
    compiled += 1;
  }
  lines.unshift(`${compiled} of ${shaders.length} shaders compiled${half ? '' : ', none with f16, which the adapter lacks'}`);
} catch (error) {
  lines.unshift(`failed: ${error.message}`);
}
await fetch('/result', { method: 'POST', body: lines.join('\n') });
"#;

pub(crate) fn check() -> Result<(), String> {
    let folder = target_dir()?.join("shaders");
    let unusable = |error: std::io::Error| format!("{}: {error}", folder.display());
    if folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(unusable)?;
    }
    std::fs::create_dir_all(&folder).map_err(unusable)?;
    let mut tests =
        cargo(&["test", "--release", "--locked", "--quiet", "--package", "electra-kernels", "--lib", "gpu::"]);
    run(tests.env("ELECTRA_SHADERS_TO", &folder))?;
    let page = page(&folder).map_err(unusable)?;

    let chromium = prerequisites::chromium().ok_or(prerequisites::NO_CHROMIUM)?;
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| format!("no port to serve from: {error}"))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let profile = folder.join("profile");
    let mut browser = start(&chromium, &profile, &format!("http://{address}/"))?;
    let verdict = serve(&listener, &page, &mut browser);
    // It may have ended by itself.
    let _ = browser.kill();
    let _ = browser.wait();
    let verdict = verdict?;
    eprintln!("{verdict}");
    let mut lines = verdict.lines();
    match (lines.next(), lines.count()) {
        (Some(first), 0) if !first.starts_with("failed") && !first.starts_with("0 ") => Ok(()),
        (_, wrong) => Err(format!("{wrong} shaders are not what the browser's compiler takes")),
    }
}

/// All shaders of `folder` and the script in one page.
fn page(folder: &Path) -> std::io::Result<String> {
    let mut paths: Vec<_> = std::fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    paths.sort_by_key(std::fs::DirEntry::file_name);
    let mut page = String::from("<!doctype html><meta charset=\"utf-8\"><title>shaders</title>\n");
    for path in paths {
        let (name, text) = (path.file_name(), std::fs::read_to_string(path.path())?);
        page.push_str(&format!("<script type=\"text/wgsl\" id=\"{}\">{text}</script>\n", name.to_string_lossy()));
    }
    page.push_str(&format!("<script type=\"module\">{SCRIPT}</script>\n"));
    Ok(page)
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

/// Hands out the page until a result is posted.
fn serve(listener: &TcpListener, page: &str, browser: &mut Child) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("the page's server: {error}");
    listener.set_nonblocking(true).map_err(failed)?;
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        match listener.accept() {
            Ok((stream, _)) => {
                // A connection that the browser opened in advance and never used is none of ours.
                if let Ok(Some(result)) = answer(stream, page) {
                    return Ok(result);
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                if let Ok(Some(status)) = browser.try_wait() {
                    return Err(format!("the browser ended with {status}"));
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            Err(error) => return Err(failed(error)),
        }
    }
    Err(format!("the browser had not finished after {} seconds", PATIENCE.as_secs()))
}

/// Answers one request; the body of a POST is the result.
fn answer(stream: TcpStream, page: &str) -> std::io::Result<Option<String>> {
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
    let is_result = request.starts_with("POST ");
    let (status, content) = match request.split(' ').nth(1) {
        Some("/") => ("200 OK", page),
        _ if is_result => ("200 OK", ""),
        _ => ("404 Not Found", ""),
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: text/html\r\nContent-Length: {}\r\n", content.len());
    (&stream).write_all(format!("{head}Connection: close\r\n\r\n{content}").as_bytes())?;
    Ok(is_result.then(|| String::from_utf8_lossy(&body).into_owned()))
}
