//! The real world: time, chance and the network, owned here and nowhere else.
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use jiff::{SignedDuration, Timestamp};
use kessai_core::{Clock, Entropy};
use kessai_provider::transport::{MAX_REPLY_BYTES, Method, Reply, Request, Transport, TransportFault};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// The machine's clock, which `kessai clock advance` may push ahead in sandbox mode.
#[derive(Default)]
pub struct SystemClock {
    ahead_us: AtomicI64,
}

impl SystemClock {
    /// A clock that is this far ahead already, in microseconds.
    pub fn ahead(us: i64) -> Self {
        Self { ahead_us: us.into() }
    }

    /// Pushes the clock ahead; how far it is ahead now, in microseconds.
    pub fn advance(&self, by: SignedDuration) -> i64 {
        let us = i64::try_from(by.as_micros()).unwrap_or(0).max(0);
        self.ahead_us.fetch_add(us, Ordering::SeqCst) + us
    }
}

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that everybody else is given"
    )]
    fn now(&self) -> Timestamp {
        let ahead = SignedDuration::from_micros(self.ahead_us.load(Ordering::SeqCst));
        Timestamp::now().saturating_add(ahead).unwrap_or(Timestamp::MAX)
    }
}

/// The operating system's randomness.
pub struct SystemEntropy;

/// Longer wishes are keys and secrets: they are always asked of the system itself.
const ID_DICE_MOST: usize = 16;

thread_local! {
    /// Randomness fetched ahead for ids: how much of it is used up, and the bytes.
    static AHEAD: std::cell::RefCell<(usize, [u8; 512])> = const { std::cell::RefCell::new((512, [0; 512])) };
}

#[expect(
    clippy::disallowed_methods,
    reason = "these are the dice that everybody else is given"
)]
fn ask_system(into: &mut [u8]) {
    getrandom::fill(into).expect("the operating system has randomness");
}

impl Entropy for SystemEntropy {
    /// An id takes ten bytes and a sale several ids: they come from 512 bytes fetched at once, each handed out once and erased.
    fn fill(&self, into: &mut [u8]) {
        if into.len() > ID_DICE_MOST {
            return ask_system(into);
        }
        AHEAD.with_borrow_mut(|(used, ahead)| {
            if *used + into.len() > ahead.len() {
                ask_system(ahead);
                *used = 0;
            }
            let taken = &mut ahead[*used..*used + into.len()];
            into.copy_from_slice(taken);
            taken.fill(0);
            *used += into.len();
        });
    }
}

/// Which addresses a transport may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Any: providers, whose addresses the operator configured.
    Anywhere,
    /// Only addresses of the public internet: shops' webhook endpoints, whose addresses anybody may have typed.
    PublicOnly,
}

/// HTTP over the real network. It decides, once, whether a request provably never left.
pub struct HttpTransport {
    client: reqwest::Client,
    reach: Reach,
}

/// Whether an address is part of the public internet.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_broadcast()
                || v4.is_documentation()
                || v4.is_multicast()
                || v4.is_unspecified()
                || a == 0
                || a >= 240
                // Shared by carriers, protocol assignments, benchmarks.
                || (a == 100 && (64..128).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 198 && (b == 18 || b == 19)))
        }
        IpAddr::V6(v6) => {
            if let Some(v4) = v6.to_ipv4_mapped() {
                return is_public(v4.into());
            }
            let first = v6.segments()[0];
            !(v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || (first & 0xfe00) == 0xfc00
                || (first & 0xffc0) == 0xfe80
                || (first & 0xffc0) == 0xfec0
                // Translation prefixes reach IPv4 addresses behind our back.
                || (first == 0x64 && v6.segments()[1] == 0xff9b)
                || first == 0x2002
                || (first == 0x2001 && (v6.segments()[1] == 0xdb8 || v6.segments()[1] == 0)))
        }
    }
}

struct PublicResolver;

impl reqwest::dns::Resolve for PublicResolver {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let host = name.as_str().to_owned();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let public: Vec<SocketAddr> = found
                .into_iter()
                .filter(|address| is_public(address.ip()))
                .collect();
            if public.is_empty() {
                return Err(format!("{host} has no public address").into());
            }
            Ok(Box::new(public.into_iter()) as reqwest::dns::Addrs)
        })
    }
}

impl HttpTransport {
    /// A transport with its own connections. Redirects are not followed.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(reach: Reach) -> anyhow::Result<Self> {
        let mut builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .pool_max_idle_per_host(64)
            .pool_idle_timeout(Duration::from_secs(30))
            .tcp_nodelay(true)
            .no_proxy();
        if reach == Reach::PublicOnly {
            builder = builder.dns_resolver(Arc::new(PublicResolver));
        }
        Ok(Self {
            client: builder.build()?,
            reach,
        })
    }

    /// A host given as an address is never resolved, so it is looked at here.
    fn refuse_private(&self, url: &url::Url) -> Result<(), TransportFault> {
        let literal = match url.host() {
            Some(url::Host::Ipv4(v4)) => Some(IpAddr::V4(v4)),
            Some(url::Host::Ipv6(v6)) => Some(IpAddr::V6(v6)),
            Some(url::Host::Domain(_)) | None => None,
        };
        match literal {
            Some(address) if self.reach == Reach::PublicOnly && !is_public(address) => {
                Err(TransportFault::NotSent("the address is private".into()))
            }
            _ => Ok(()),
        }
    }
}

fn method(method: Method) -> reqwest::Method {
    match method {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
        Method::Patch => reqwest::Method::PATCH,
        Method::Delete => reqwest::Method::DELETE,
        Method::Options => reqwest::Method::OPTIONS,
    }
}

/// The words of an error with its causes, without the URL: a query may hold what is nobody's business.
fn words(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}

fn fault(error: reqwest::Error) -> TransportFault {
    if error.is_connect() || error.is_builder() {
        TransportFault::NotSent(words(error))
    } else {
        TransportFault::Lost(words(error))
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn send(&self, request: Request) -> Result<Reply, TransportFault> {
        let url = url::Url::parse(&request.url).map_err(|e| TransportFault::NotSent(e.to_string()))?;
        self.refuse_private(&url)?;
        let mut builder = self
            .client
            .request(method(request.method), url)
            .timeout(Duration::from_millis(request.timeout_ms))
            .body(request.body);
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        let mut response = builder.send().await.map_err(fault)?;
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
            .collect();
        let mut body = BytesMut::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|e| TransportFault::Lost(words(e)))?
        {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_REPLY_BYTES {
                return Err(TransportFault::Lost("the reply is too large".into()));
            }
        }
        Ok(Reply {
            status,
            headers,
            body: Bytes::from(body),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_inside_any_house_are_not_public() {
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "::1",
            "fd00::1",
            "fe80::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "2001:db8::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    fn ask(url: String) -> Request {
        Request {
            method: Method::Post,
            url,
            headers: vec![],
            body: Bytes::new(),
            timeout_ms: 2_000,
        }
    }

    #[test]
    fn dice_thrown_ahead_are_never_handed_out_twice() {
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..1_000 {
            let mut dice = [0; 10];
            SystemEntropy.fill(&mut dice);
            assert!(seen.insert(dice));
        }
        let mut key = [0; 32];
        SystemEntropy.fill(&mut key);
        assert_ne!(key, [0; 32]);
    }

    #[tokio::test]
    async fn a_private_literal_or_name_is_never_connected_to() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let transport = HttpTransport::new(Reach::PublicOnly).unwrap();
        for host in [
            "127.0.0.1",
            "localhost",
            "[::ffff:127.0.0.1]",
            "2130706433",
            "0x7f.1",
        ] {
            let sent = transport.send(ask(format!("http://{host}:{port}/"))).await;
            assert!(
                matches!(sent, Err(TransportFault::NotSent(_))),
                "{host}: {sent:?}"
            );
        }
        assert!(listener.accept().is_err(), "nobody called");
    }

    #[tokio::test]
    async fn a_refused_connection_is_not_sent_and_a_broken_one_is_lost() {
        let transport = HttpTransport::new(Reach::Anywhere).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let broken = async {
            let (socket, _) = listener.accept().await.unwrap();
            drop(socket);
        };
        let (sent, ()) = tokio::join!(transport.send(ask(format!("http://127.0.0.1:{port}/"))), broken);
        assert!(matches!(sent, Err(TransportFault::Lost(_))), "{sent:?}");
        drop(listener);
        let sent = transport.send(ask(format!("http://127.0.0.1:{port}/"))).await;
        assert!(matches!(sent, Err(TransportFault::NotSent(_))), "{sent:?}");
    }
}
