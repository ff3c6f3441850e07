//! `electra serve`: the page, from a folder, for a browser on this machine.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use axum::Router;
use axum::http::{HeaderName, HeaderValue};
use tower_http::services::ServeDir;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  electra serve                          then open http://127.0.0.1:8080/ in a browser; Ctrl-C ends it
  electra serve --port 0                 any free port; the address is printed
  electra serve --page web/dist          the page from this folder

\"cargo xtask web\" builds the page into web/dist, which any other web server can serve as well, below any path. Everything is computed in
the browser: nothing that a visitor types or drops reaches this program, and no other machine reaches it unless --host says so.";

/// Open the page that detects, teaches and trains in a browser
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The folder of the page [default: web/dist here, in the repository of this program, or page beside the program]
    #[arg(long, value_name = "DIR")]
    page: Option<PathBuf>,
    /// The port; 0: any that is free
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    port: u16,
    /// The address to listen at; 0.0.0.0 opens the page to other machines
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
}

/// What every answer says: files are what their type says and nothing else, no other site frames the page, and the page, which has
/// nothing of other sites, may measure its own memory.
const HEADERS: [(&str, &str); 6] = [
    ("cache-control", "no-cache"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("content-security-policy", "frame-ancestors 'none'"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-embedder-policy", "require-corp"),
];

pub(super) fn run(args: Args, terminal: &Terminal) -> anyhow::Result<()> {
    let folder = page_folder(args.page)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().context("the server")?;
    runtime.block_on(async {
        let address = SocketAddr::new(args.host, args.port);
        let listener = tokio::net::TcpListener::bind(address)
            .await
            .with_context(|| format!("{address}: cannot listen there; --port 0 takes a port that is free"))?;
        let address = listener.local_addr().context("the server's address")?;
        terminal.note(format_args!("serving {}; Ctrl-C ends it", folder.display()));
        if !args.host.is_loopback() {
            terminal
                .warn(format_args!("other machines reach the page at this one's addresses, port {}", address.port()));
        }
        terminal.result(format_args!("http://{address}/"))?;
        axum::serve(listener, router(&folder)).await.context("the server")
    })
}

/// The folder with the page's index.html.
fn page_folder(named: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let has_page = |folder: &Path| folder.join("index.html").is_file();
    if let Some(folder) = named {
        if !has_page(&folder) {
            bail!("{}: no index.html in there; \"cargo xtask web\" builds the page into web/dist", folder.display());
        }
        return Ok(folder);
    }
    let program = std::env::current_exe().ok();
    let beside = program.as_deref().and_then(Path::parent).map(|folder| folder.join("page"));
    // target/release/electra, or target of another name.
    let repository =
        program.as_deref().and_then(|program| program.ancestors().nth(3)).map(|root| root.join("web/dist"));
    let places: Vec<PathBuf> = [Some(PathBuf::from("web/dist")), repository, beside].into_iter().flatten().collect();
    places.iter().find(|folder| has_page(folder)).cloned().with_context(|| {
        let places: Vec<String> = places.iter().map(|folder| folder.display().to_string()).collect();
        format!(
            "the page has not been built: it is in none of {}\n\"cargo xtask web\" builds it into web/dist, and needs Node.js; \
             --page names another folder",
            places.join(", ")
        )
    })
}

/// The files of `folder`, which a browser asks for again each time, and gets again where they have changed.
fn router(folder: &Path) -> Router {
    let headers = HEADERS.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
    headers.into_iter().fold(Router::new().fallback_service(ServeDir::new(folder)), |router, (name, value)| {
        router.layer(SetResponseHeaderLayer::overriding(name, value))
    })
}
