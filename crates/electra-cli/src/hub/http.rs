//! One request to the Hub, with the redirects that follow from it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use ureq::http::{Response, StatusCode, Uri};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body};

/// A server that says nothing for so long is gone.
const SILENCE: Duration = Duration::from_secs(30);
const MAX_REDIRECTS: usize = 5;

/// What a server sent.
pub(super) struct Answer {
    /// The hash under which the Hub knows the file.
    pub(super) etag: Option<String>,
    /// Bytes of the whole file.
    pub(super) length: Option<u64>,
    pub(super) response: Response<Body>,
}

/// What the server answers at `url`, from byte `from` on. Redirects are followed here, since the hash stands in the headers of the first
/// answer, and so that the token goes to the endpoint alone.
///
/// # Errors
/// The server cannot be reached, or has no such thing.
pub(super) fn get(url: &str, from: u64, endpoint: &str, token: Option<&str>) -> anyhow::Result<Answer> {
    let agent = agent();
    let (mut url, mut etag, mut length) = (url.to_owned(), None, None);
    for _ in 0..=MAX_REDIRECTS {
        let mut request = agent.get(&url).header("accept-encoding", "identity");
        if let Some(token) = token.filter(|_| url.starts_with(&format!("{endpoint}/"))) {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if from > 0 {
            request = request.header("range", format!("bytes={from}-"));
        }
        let response = request.call().map_err(|error| unreachable(&error))?;
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        etag = etag.or_else(|| header("x-linked-etag").map(plain_etag));
        length = length.or_else(|| header("x-linked-size").and_then(|size| size.parse().ok()));
        match response.status() {
            status if status.is_redirection() => {
                let location = header("location").context("the server redirects to nowhere")?;
                url = redirected(&url, location)?;
            }
            status if status.is_success() => {
                let etag = etag.or_else(|| header("etag").map(plain_etag));
                let own_length = || header("content-length").and_then(|size| size.parse().ok());
                let length = length.or_else(|| own_length().map(|rest: u64| rest + from));
                return Ok(Answer { etag, length, response });
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => bail!(
                "the server has no such network, or does not show it ({}); check the name, or set HF_TOKEN where it is private \
                     or asks for an agreement",
                response.status()
            ),
            status => bail!("the server answers {status}; try again later"),
        }
    }
    bail!("the server redirects again and again");
}

fn agent() -> Agent {
    let tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(RootCerts::PlatformVerifier)
        .build();
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_connect(Some(SILENCE))
        .timeout_recv_response(Some(SILENCE))
        .timeout_per_read(Some(SILENCE))
        .tls_config(tls)
        .user_agent(concat!("electra/", env!("CARGO_PKG_VERSION")))
        .build()
        .into()
}

fn unreachable(error: &ureq::Error) -> anyhow::Error {
    let remedy = "check the connection (HTTPS_PROXY names a proxy, HF_ENDPOINT another server), or name a folder";
    anyhow::anyhow!("the server cannot be reached ({error})\n{remedy}")
}

/// Without the quotes, and without the mark of a weak one.
fn plain_etag(etag: &str) -> String {
    etag.trim_start_matches("W/").trim_matches('"').to_owned()
}

/// Where `location`, which may be a path alone, leads from `url`.
fn redirected(url: &str, location: &str) -> anyhow::Result<String> {
    if !location.starts_with('/') {
        return Ok(location.to_owned());
    }
    let from: Uri = url.parse().context("the server's address")?;
    let (scheme, authority) = (from.scheme_str().unwrap_or("https"), from.authority().context("the server's address")?);
    Ok(format!("{scheme}://{authority}{location}"))
}
