//! The web server of a scenario's CA: OCSP responses, lists of revoked certificates, certificates.

use std::{
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use http_body_util::Full;
use hyper::{Request, Response, StatusCode, body::Bytes, header::CONTENT_TYPE, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::plan::{Publication, WebAnswer};

/// A running web server; it ends when this is dropped.
#[derive(Debug)]
pub struct WebServer {
    /// The host in the URLs of certificates; its port there is 80.
    pub host: &'static str,
    /// Where it really listens.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

/// How long a client may take to say what it wants; where thousands are at work in one process, that is not at once.
const HEADER_PATIENCE: Duration = Duration::from_secs(60);

impl WebServer {
    /// Starts it on a port that the system picks.
    pub async fn start(publication: Publication) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (host, address) = (publication.host, listener.local_addr()?);
        Ok(Self { host, address, task: tokio::spawn(serve(listener, Arc::new(publication))) })
    }
}

impl Drop for WebServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, publication: Arc<Publication>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, for example: let connections end first.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let publication = Arc::clone(&publication);
        connections.spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&publication), request));
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(HEADER_PATIENCE);
            // A client that goes away in mid-answer is none of the server's errors.
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// An OCSP request may also stand in the path (RFC 6960, A.1): what begins like a path is taken for it.
async fn answer<B>(publication: Arc<Publication>, request: Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path();
    let is_it = |known: &str| path == known || path.strip_prefix(known).is_some_and(|rest| rest.starts_with('/'));
    let found = publication.resources.iter().find(|resource| is_it(&resource.path));
    let mut response = Response::new(Full::default());
    match found.map(|resource| (&resource.answer, resource.media_type)) {
        Some((WebAnswer::Body(body), media_type)) => {
            *response.body_mut() = Full::from(body.clone());
            response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(media_type));
        }
        Some((WebAnswer::Status(status), _)) => {
            *response.status_mut() = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        }
        Some((WebAnswer::Silence, _)) => std::future::pending().await,
        None => *response.status_mut() = StatusCode::NOT_FOUND,
    }
    Ok(response)
}
