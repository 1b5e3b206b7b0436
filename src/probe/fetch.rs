//! Fetches what a certificate points to, by plain HTTP (RFC 6960, A; RFC 5280, 4.2.1.13 and 4.2.2.1).
//!
//! Where to go is said by a certificate, and so by a stranger. So nothing but `http:` is spoken, no redirect is
//! followed, an answer is bounded in bytes and time, and no address of the inside is connected to unless the
//! user named it.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use futures::{StreamExt as _, stream};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{
    Method, Request, Uri,
    body::Bytes,
    client::conn::http1,
    header::{ACCEPT, CONTENT_TYPE, HOST, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

use super::{
    reach::is_public,
    resolve::{ResolveError, Resolver},
};
use crate::{
    facts::{Body, Certificate, Crl, Errand, Failure, Fetched, Observed, OcspResponse, Resource},
    name::Name,
    wire::WireText,
};

/// How an HTTP server is found and how long it is waited for. By default nothing is found.
#[derive(Clone, Debug, Default)]
pub struct Fetcher {
    /// Addresses by host and port that are used instead of DNS, wherever they lead.
    pub fixed: HashMap<(String, u16), SocketAddr>,
    /// Whether other names are looked up with this system's resolver.
    pub asks_dns: bool,
    /// How long one answer may take, from connect to its last byte.
    pub patience: Duration,
}

/// An OCSP response, with the responder's certificates, takes a few kilobytes; so does a certificate.
const MAX_SMALL: usize = 64 * 1024;
/// The longest lists of public CAs take some megabytes.
const MAX_CRL: usize = 8 * 1024 * 1024;
/// How many places are asked at a time.
const AT_ONCE: usize = 4;
/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 2;

impl Fetcher {
    /// Runs errands, a few at a time; the answers are in their order.
    pub async fn fetch(&self, errands: Vec<Errand>) -> Vec<Fetched> {
        stream::iter(errands.into_iter().map(|errand| self.run(errand))).buffered(AT_ONCE).collect().await
    }

    async fn run(&self, errand: Errand) -> Fetched {
        let answer = match timeout(self.patience, self.get(&errand)).await {
            Ok(Ok(bytes)) => read(errand.what, &bytes),
            Ok(Err(stop)) => stop.into(),
            Err(_) => Observed::Failed(super::timed_out(self.patience)),
        };
        Fetched { certificate: errand.certificate, what: errand.what, url: errand.url, answer }
    }

    async fn get(&self, errand: &Errand) -> Result<Bytes, Stop> {
        // Before the rest is read: what follows `ldap:` has a form of its own.
        if errand.url.as_str().split_once(':').is_some_and(|(scheme, _)| !scheme.eq_ignore_ascii_case("http")) {
            return Err(Stop::not_asked("only http: is spoken here"));
        }
        let uri: Uri = errand.url.as_str().parse().map_err(|_| Stop::not_asked("this is no URL"))?;
        if uri.scheme().is_none() {
            return Err(Stop::not_asked("this is no URL"));
        }
        let host = uri.host().unwrap_or_default().to_owned();
        let stream = self.connect(&host, uri.port_u16().unwrap_or(80)).await?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_SMALL)
            .handshake::<_, Full<Bytes>>(TokioIo::new(stream))
            .await
            .map_err(|error| Stop::http(&error))?;
        // Ends with the request, or with the timeout that drops both.
        let answer = async {
            let response = sender.send_request(request(&uri, &host, errand)?).await.map_err(|error| Stop::http(&error))?;
            let status = response.status();
            if !status.is_success() {
                return Err(Stop::Failed(Failure::Http(format!("HTTP status {}", status.as_u16()))));
            }
            let most = if errand.what == Resource::Crl { MAX_CRL } else { MAX_SMALL };
            let body = Limited::new(response.into_body(), most).collect().await.map_err(|error| {
                match error.downcast::<LengthLimitError>().map(|error| *error) {
                    Ok(_) => Stop::Failed(Failure::Http(format!("more than {most} bytes"))),
                    // The body ended, or was garbled, before its end.
                    Err(_) => Stop::Failed(Failure::Closed),
                }
            })?;
            Ok(body.to_bytes())
        };
        tokio::pin!(answer);
        tokio::select! {
            answer = &mut answer => answer,
            // The connection may end first; what came by then is read all the same.
            _ = connection => answer.await,
        }
    }

    async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, Stop> {
        let addresses = self.addresses(host, port).await?;
        let mut last = Stop::not_asked("its name has no address");
        for address in addresses.into_iter().take(MAX_ADDRESSES) {
            match TcpStream::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Stop::Failed(super::connect_failure(&error, self.patience)),
            }
        }
        Err(last)
    }

    async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Stop> {
        if let Some(fixed) = self.fixed.get(&(host.to_ascii_lowercase(), port)) {
            return Ok(vec![*fixed]);
        }
        if !self.asks_dns {
            return Err(Stop::not_asked("no address was given for its name, and no DNS was to be asked"));
        }
        let found = match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(address) => vec![address],
            Err(_) => {
                let name = Name::parse(host).map_err(|_| Stop::not_asked("its host is no name"))?;
                let failed = |error: ResolveError| Stop::Failed(Failure::Http(WireText::from(&*error.to_string()).to_string()));
                let resolver = Resolver::system().map_err(failed)?;
                resolver.addresses(&name).await.map_err(failed)?.found
            }
        };
        // A certificate must not send its reader to the reader's own machines.
        match found.iter().find(|address| !is_public(**address)) {
            Some(inside) => Err(Stop::NotAsked(format!("it leads to {inside}, which is no address of the internet"))),
            None => Ok(found.into_iter().map(|address| SocketAddr::new(address, port)).collect()),
        }
    }
}

fn request(uri: &Uri, host: &str, errand: &Errand) -> Result<Request<Full<Bytes>>, Stop> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let host = uri.port_u16().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let builder =
        Request::builder().uri(path).header(HOST, host).header(USER_AGENT, concat!("mtalab/", env!("CARGO_PKG_VERSION")));
    match errand.what {
        Resource::Ocsp => builder
            .method(Method::POST)
            .header(CONTENT_TYPE, "application/ocsp-request")
            .header(ACCEPT, "application/ocsp-response")
            .body(Full::from(errand.request.clone())),
        Resource::Crl | Resource::Issuer => builder.method(Method::GET).body(Full::default()),
    }
    .map_err(|_| Stop::not_asked("this is no URL that can be asked for"))
}

/// Why nothing came.
enum Stop {
    NotAsked(String),
    Failed(Failure),
}

impl Stop {
    fn not_asked(why: &str) -> Self {
        Self::NotAsked(why.to_owned())
    }

    fn http(error: &hyper::Error) -> Self {
        Self::Failed(if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
            Failure::Closed
        } else {
            Failure::Http(format!("not HTTP: {}", WireText::from(&*error.to_string())))
        })
    }
}

impl From<Stop> for Observed<Body> {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::NotAsked(why) => Self::NotAttempted(why),
            Stop::Failed(failure) => Self::Failed(failure),
        }
    }
}

/// Takes the body for what it has to be; a web page instead of an answer is told apart from a broken one.
fn read(what: Resource, bytes: &[u8]) -> Observed<Body> {
    if bytes.trim_ascii_start().starts_with(b"<") {
        return Observed::Failed(Failure::Http("a web page came instead".to_owned()));
    }
    Observed::Seen(match what {
        Resource::Ocsp => Body::Ocsp(OcspResponse::from_der(bytes)),
        Resource::Crl => Body::Crl(Crl::from_der(&der(bytes))),
        Resource::Issuer => Body::Issuer(Box::new(Certificate::from_der(&der(bytes)))),
    })
}

/// RFC 5280 asks for DER; some publish PEM.
fn der(bytes: &[u8]) -> Vec<u8> {
    pem::parse(bytes).map_or_else(|_| bytes.to_vec(), pem::Pem::into_contents)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("https://pki.lab.test/a", "only http: is spoken here")]
    #[case("ldap:///CN=x?cACertificate", "only http: is spoken here")]
    #[case("http://127.0.0.1/latest/meta-data", "it leads to 127.0.0.1, which is no address of the internet")]
    #[case("http://[::ffff:10.0.0.1]/", "it leads to ::ffff:10.0.0.1, which is no address of the internet")]
    #[case("http://a b/", "this is no URL")]
    #[case("/relative", "this is no URL")]
    #[tokio::test]
    async fn a_stranger_does_not_send_us_anywhere(#[case] url: &str, #[case] expected: &str) {
        let fetcher = Fetcher { fixed: HashMap::new(), asks_dns: true, patience: Duration::from_secs(5) };
        let errand = Errand { certificate: String::new(), what: Resource::Crl, url: WireText::from(url), request: Vec::new() };
        let fetched = fetcher.fetch(vec![errand]).await;
        assert_eq!(fetched[0].answer, Observed::NotAttempted(expected.to_owned()));
    }
}
