//! The web server of an MTA-STS policy (RFC 8461, 3.3), and what can be wrong with it.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, rustls};

use crate::{
    plan::PolicyHostPlan,
    scenario::{PolicyEnd, PolicyHostFault},
};

/// A running policy host; it ends when this is dropped.
#[derive(Debug)]
pub struct PolicyHost {
    task: JoinHandle<()>,
}

/// Why a policy host did not start.
#[derive(Debug, thiserror::Error)]
pub enum PolicyHostError {
    /// The address cannot be bound.
    #[error("cannot listen on {0}: {1}")]
    Bind(SocketAddr, #[source] io::Error),
    /// Its key cannot be read.
    #[error("cannot use the key of the policy host: {0}")]
    Key(#[from] rustls_pki_types::pem::Error),
    /// Its certificate cannot be served.
    #[error("cannot use the certificate of the policy host: {0}")]
    Tls(#[from] rustls::Error),
}

/// Where the policy is.
const PATH: &str = "/.well-known/mta-sts.txt";
/// A client says what it wants at once.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longer requests are not read.
const MAX_REQUEST: u64 = 16 * 1024;
/// Between two bytes of an answer that drips.
const DRIP: Duration = Duration::from_secs(1);

impl PolicyHost {
    /// Serves the policy at a listener.
    pub fn serve(plan: PolicyHostPlan, listener: TcpListener) -> Result<Self, PolicyHostError> {
        let chain = plan.credentials.chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
        let key = PrivateKeyDer::from_pem_slice(plan.credentials.key_pem.as_bytes())?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let config = builder.with_no_client_auth().with_single_cert(chain, key)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Ok(Self { task: tokio::spawn(accept(listener, acceptor, Arc::new(plan))) })
    }
}

impl Drop for PolicyHost {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, plan: Arc<PolicyHostPlan>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, for example: let connections end first.
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        let (acceptor, plan) = (acceptor.clone(), Arc::clone(&plan));
        connections.spawn(async move {
            // A client that goes away in mid-answer is none of the server's errors.
            let _ = hold(stream, &acceptor, &plan).await;
        });
    }
}

async fn hold(stream: TcpStream, acceptor: &TlsAcceptor, plan: &PolicyHostPlan) -> io::Result<()> {
    stream.set_nodelay(true)?;
    if plan.host_fault == Some(PolicyHostFault::Plaintext) {
        return answer(stream, plan).await;
    }
    let stream = timeout(PATIENCE, acceptor.accept(stream)).await??;
    answer(stream, plan).await
}

/// Answers one request, then closes: a policy is fetched once.
async fn answer(stream: impl AsyncRead + AsyncWrite + Unpin, plan: &PolicyHostPlan) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let Some(path) = timeout(PATIENCE, request(&mut stream)).await?? else { return Ok(()) };
    let fault = &plan.fault;
    if let Some(delay) = fault.delay {
        sleep(delay.0).await;
    }
    match fault.ends_with {
        Some(PolicyEnd::Silence) => std::future::pending().await,
        Some(PolicyEnd::Close) => return stream.shutdown().await,
        Some(PolicyEnd::Half | PolicyEnd::Drip) | None => {}
    }
    // A client that follows a redirection, which it must not (RFC 8461, 3.3), finds the policy there.
    let is_redirected = fault.location.is_some() && path != PATH;
    let status = match fault.status {
        Some(status) if !is_redirected => status,
        _ if path == PATH || is_redirected => 200,
        _ => 404,
    };
    let body = if path == PATH || is_redirected { plan.body.as_slice() } else { b"" };
    let mut head = format!("HTTP/1.1 {status} {}\r\nContent-Length: {}\r\nConnection: close\r\n", reason(status), body.len());
    match fault.media_type.as_deref() {
        Some("") => {}
        Some(other) => head.push_str(&format!("Content-Type: {other}\r\n")),
        None => head.push_str("Content-Type: text/plain\r\n"),
    }
    if let Some(location) = fault.location.as_ref().filter(|_| !is_redirected) {
        head.push_str(&format!("Location: {location}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await?;
    match fault.ends_with {
        Some(PolicyEnd::Drip) => {
            for byte in body {
                stream.write_all(&[*byte]).await?;
                stream.flush().await?;
                sleep(DRIP).await;
            }
        }
        Some(PolicyEnd::Half) => stream.write_all(&body[..body.len() / 2]).await?,
        _ => stream.write_all(body).await?,
    }
    stream.shutdown().await
}

/// The path that is asked for; none where nobody asks.
async fn request(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<String>> {
    let mut limited = stream.take(MAX_REQUEST);
    let mut first = String::new();
    limited.read_line(&mut first).await?;
    loop {
        let mut line = String::new();
        if limited.read_line(&mut line).await? == 0 || line.trim_end().is_empty() {
            break;
        }
    }
    Ok(first.split(' ').nth(1).map(str::to_owned))
}

fn reason(status: u16) -> &'static str {
    hyper::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Unknown")
}
