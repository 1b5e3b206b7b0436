//! Fetches the policy of MTA-STS by HTTPS, as a sender would (RFC 8461, 3.3): from the policy host only, without following
//! redirects, bounded in bytes and time. Whether its certificate is any good is for the rules to say.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use http_body_util::{BodyExt as _, Empty};
use hyper::{
    Request,
    body::{Bytes, Incoming},
    client::conn::http1,
    header::{CONTENT_TYPE, HOST, HeaderName, LOCATION, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

use super::{
    dns::Dns,
    handshake::{self, Wanted},
    reach::Reach,
    timed_out,
};
use crate::{
    facts::{Certificate, Failure, Observed, PolicyBody, PolicyFetch, PolicyResponse, Possession},
    mta_sts::{MAX_POLICY_BYTES, POLICY_PATH, policy_host},
    name::Name,
    wire::WireText,
};

/// How policies are fetched.
#[derive(Clone, Debug)]
pub struct PolicyOptions {
    /// The port; 443 outside of a lab.
    pub port: u16,
    /// Which addresses are connected to.
    pub reach: Reach,
    /// How long it may take from the connection to the last byte (RFC 8461, 3.3 advises one minute).
    pub patience: Duration,
}

/// Addresses of the policy host that are tried.
const MAX_ADDRESSES: usize = 4;
/// The head of an answer is small.
const MAX_HEAD: usize = 16 * 1024;
/// Characters of a header that are kept.
const MAX_HEADER: usize = 500;

/// Fetches the policy of a domain. `is_announced` says whether a record asks for it: where none does, and there is no policy host
/// either, there is nothing to fetch.
pub async fn fetch(domain: &Name, dns: &Dns, options: &PolicyOptions, is_announced: bool) -> Observed<PolicyFetch> {
    let host = match Name::parse(&policy_host(domain)) {
        Ok(host) => host,
        Err(error) => return Observed::NotAttempted(format!("there can be no policy host: {error}")),
    };
    let (v4, v6) = tokio::join!(dns.v4(host.as_str()), dns.v6(host.as_str()));
    let mut addresses: Vec<IpAddr> = Vec::new();
    addresses.extend(v4.seen().iter().flat_map(|answer| &answer.records).map(|address| IpAddr::from(*address)));
    addresses.extend(v6.seen().iter().flat_map(|answer| &answer.records).map(|address| IpAddr::from(*address)));
    let mut fetched = Fetch::new(host);
    if addresses.is_empty() {
        let failure = match (v4, v6) {
            (Observed::Failed(failure), _) | (_, Observed::Failed(failure)) => failure,
            _ if !is_announced => {
                return Observed::NotAttempted(format!("no record announces one, and {} has no address", fetched.host));
            }
            _ => Failure::Http(format!("{} has no address", fetched.host)),
        };
        return fetched.ended(Observed::Failed(failure));
    }
    if let Some(inside) = addresses.iter().find(|address| !options.reach.includes(**address)) {
        let why = format!("{} leads to {inside}, which is no address of the internet", fetched.host);
        return fetched.ended(Observed::NotAttempted(why));
    }
    let response = match timeout(options.patience, fetched.get(&addresses, options)).await {
        Ok(Ok(response)) => Observed::Seen(response),
        Ok(Err(failure)) => Observed::Failed(failure),
        Err(_) => Observed::Failed(timed_out(options.patience)),
    };
    fetched.ended(response)
}

/// What is known of a fetch before it ends.
struct Fetch {
    host: Name,
    address: Option<SocketAddr>,
    is_connected: bool,
    certificates: Option<Vec<Certificate>>,
    possession: Option<Possession>,
}

impl Fetch {
    fn new(host: Name) -> Self {
        Self { host, address: None, is_connected: false, certificates: None, possession: None }
    }

    fn ended(self, response: Observed<PolicyResponse>) -> Observed<PolicyFetch> {
        fn seen<T>(value: Option<T>, response: &Observed<PolicyResponse>) -> Observed<T> {
            match (value, response) {
                (Some(value), _) => Observed::Seen(value),
                (None, Observed::Failed(failure)) => Observed::Failed(failure.clone()),
                (None, _) => Observed::NotAttempted("the policy host was not connected to".to_owned()),
            }
        }
        let certificates = seen(self.certificates, &response);
        let possession = seen(self.possession, &response);
        let Self { host, address, is_connected, .. } = self;
        Observed::Seen(PolicyFetch { host, address, is_connected, certificates, possession, response })
    }

    async fn get(&mut self, addresses: &[IpAddr], options: &PolicyOptions) -> Result<PolicyResponse, Failure> {
        let stream = self.connect(addresses, options).await?;
        self.is_connected = true;
        let handshake = handshake::connect(stream, &Wanted::usual(&self.host), options.patience).await;
        self.certificates = handshake.certificates;
        self.possession = handshake.possession;
        let (stream, _) = handshake.outcome?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_HEAD)
            .handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
            .await
            .map_err(|error| http(&error))?;
        let answer = async {
            let request = Request::get(POLICY_PATH)
                .header(HOST, self.host.as_str())
                .header(USER_AGENT, concat!("mtalab/", env!("CARGO_PKG_VERSION")))
                .body(Empty::new())
                .map_err(|error| Failure::Local(error.to_string()))?;
            let response = sender.send_request(request).await.map_err(|error| http(&error))?;
            let header = |name: HeaderName| {
                let value = response.headers().get(name)?.as_bytes();
                Some(WireText::from_bytes(&value[..value.len().min(MAX_HEADER)]))
            };
            let (content_type, location) = (header(CONTENT_TYPE), header(LOCATION));
            let status = response.status().as_u16();
            let body = if status == 200 { body(response.into_body()).await? } else { PolicyBody::default() };
            Ok(PolicyResponse { status, content_type, location, body })
        };
        tokio::pin!(answer);
        tokio::select! {
            answer = &mut answer => answer,
            // The connection may end first; what came by then is read all the same.
            _ = connection => answer.await,
        }
    }

    async fn connect(&mut self, addresses: &[IpAddr], options: &PolicyOptions) -> Result<TcpStream, Failure> {
        let mut last = Failure::Http(format!("{} has no address", self.host));
        // One that is silent must not take the time of the others.
        let share = options.patience / u32::try_from(addresses.len().min(MAX_ADDRESSES) + 1).unwrap_or(1);
        for address in addresses.iter().take(MAX_ADDRESSES) {
            let address = SocketAddr::new(*address, options.port);
            self.address = Some(address);
            match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = super::connect_failure(&error, share),
                Err(_) => last = timed_out(share),
            }
        }
        Err(last)
    }
}

/// Reads as much of the body as a sender would.
async fn body(mut incoming: Incoming) -> Result<PolicyBody, Failure> {
    let mut body = PolicyBody::default();
    while let Some(frame) = incoming.frame().await {
        let Ok(data) = frame.map_err(|error| http(&error))?.into_data() else { continue };
        let room = MAX_POLICY_BYTES - body.bytes.len();
        body.bytes.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() > room {
            body.is_cut = true;
            break;
        }
    }
    Ok(body)
}

fn http(error: &hyper::Error) -> Failure {
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        Failure::Closed
    } else {
        Failure::Http(format!("not HTTP: {}", WireText::from(&*error.to_string())))
    }
}
