//! A small HTTP/1.1 keep-alive load generator on raw sockets: cheap, so that the shared cores go to the hub. Loopback only.
use anyhow::Context as _;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long one answer may take before the run counts it as an error and gives the connection up.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// No answer is larger.
const ANSWER_MOST: usize = 8 << 20;

/// How a run is driven.
#[derive(Debug, Clone)]
pub struct Drive {
    /// Where to; loopback only.
    pub address: SocketAddr,
    /// Connections, each with one request under way.
    pub connections: usize,
    /// What is thrown away at the start.
    pub warmup: Duration,
    /// What is measured.
    pub measured: Duration,
    /// Requests a second over all connections; as fast as answers come when none. Latency then counts from the intended start.
    pub rate: Option<u64>,
}

/// What one pass through a script came to.
pub type Passed = anyhow::Result<bool>;

/// What each connection does over and over.
pub trait Script: Send + Sync + 'static {
    /// One pass: one request, or a whole life. Answers whether every reply was the expected one.
    fn pass(&self, wire: &mut Wire) -> impl Future<Output = Passed> + Send;
}

/// What a run came to.
#[derive(Debug)]
pub struct Load {
    /// Passes that ended well within the measured time.
    pub good: u64,
    /// Passes with an unexpected answer or a broken connection.
    pub bad: u64,
    /// The measured time.
    pub measured: Duration,
    /// Of good passes, in microseconds.
    pub latency: Histogram<u64>,
    /// The same without the time that the hub says it waited for a provider (`Server-Timing`).
    pub overhead: Histogram<u64>,
    /// One example of each kind of trouble.
    pub troubles: BTreeMap<String, u64>,
}

impl Load {
    fn new(measured: Duration) -> Self {
        let latency = Histogram::new_with_bounds(1, 60_000_000, 3).expect("sound bounds");
        let overhead = latency.clone();
        Self {
            good: 0,
            bad: 0,
            measured,
            latency,
            overhead,
            troubles: BTreeMap::new(),
        }
    }

    /// Good passes a second.
    pub fn per_second(&self) -> u64 {
        let ms = u64::try_from(self.measured.as_millis()).unwrap_or(1).max(1);
        self.good * 1_000 / ms
    }

    fn add(&mut self, other: Self) {
        self.good += other.good;
        self.bad += other.bad;
        self.latency.add(&other.latency).expect("the same bounds");
        self.overhead.add(&other.overhead).expect("the same bounds");
        for (trouble, n) in other.troubles {
            *self.troubles.entry(trouble).or_default() += n;
        }
    }

    fn trouble(&mut self, what: String) {
        self.bad += 1;
        if self.troubles.len() < 8 || self.troubles.contains_key(&what) {
            *self.troubles.entry(what).or_default() += 1;
        }
    }
}

/// One keep-alive connection.
pub struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
    body: (usize, usize),
    provider: Duration,
    dice: u64,
}

impl Wire {
    async fn connect(address: SocketAddr, number: usize) -> anyhow::Result<Self> {
        anyhow::ensure!(address.ip().is_loopback(), "only loopback is driven");
        let stream = TcpStream::connect(address).await.context("connecting")?;
        stream.set_nodelay(true)?;
        let dice = number as u64 * 7_919 + 1;
        Ok(Self {
            stream,
            buffer: vec![0; 16 << 10],
            filled: 0,
            body: (0, 0),
            provider: Duration::ZERO,
            dice,
        })
    }

    /// A number below `most`, the same sequence in each run.
    pub fn dice(&mut self, most: usize) -> usize {
        self.dice = self
            .dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.dice >> 33).expect("31 bits") % most.max(1)
    }

    /// Sends one whole request and reads its answer; its status.
    pub async fn ask(&mut self, request: &[u8]) -> anyhow::Result<u16> {
        tokio::time::timeout(ANSWER_WITHIN, self.exchange(request))
            .await
            .context("no answer in time")?
    }

    async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<u16> {
        self.stream.write_all(request).await?;
        self.filled = 0;
        let head = loop {
            if self.filled == self.buffer.len() {
                anyhow::ensure!(self.filled < ANSWER_MOST, "an endless head");
                self.buffer.resize(self.filled * 2, 0);
            }
            let from = self.filled.saturating_sub(3);
            let read = self.stream.read(&mut self.buffer[self.filled..]).await?;
            anyhow::ensure!(read > 0, "the connection was closed");
            self.filled += read;
            if let Some(at) = find(&self.buffer[from..self.filled], b"\r\n\r\n") {
                break from + at + 4;
            }
        };
        let status = std::str::from_utf8(&self.buffer[9..12])?.parse()?;
        let length = content_length(&self.buffer[..head]).context("an answer without content-length")?;
        anyhow::ensure!(length < ANSWER_MOST, "an answer of {length} bytes");
        let end = head + length;
        if end > self.buffer.len() {
            self.buffer.resize(end, 0);
        }
        while self.filled < end {
            let read = self.stream.read(&mut self.buffer[self.filled..]).await?;
            anyhow::ensure!(read > 0, "the connection was closed within an answer");
            self.filled += read;
        }
        self.body = (head, end);
        self.provider += provider_time(&self.buffer[..head]).unwrap_or_default();
        Ok(status)
    }

    /// The body of the last answer.
    pub fn body(&self) -> &[u8] {
        &self.buffer[self.body.0..self.body.1]
    }

    /// The text right after the first `before` in the last body, up to the next quote.
    pub fn quoted(&self, before: &str) -> Option<&str> {
        let body = self.body();
        let at = find(body, before.as_bytes())? + before.len();
        let rest = &body[at..];
        std::str::from_utf8(&rest[..rest.iter().position(|b| *b == b'"')?]).ok()
    }
}

/// Where `needle` begins.
pub fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len()).position(|window| window == needle)
}

/// How long the hub says it waited for a provider.
fn provider_time(head: &[u8]) -> Option<Duration> {
    let at = find(head, b"provider;dur=")? + b"provider;dur=".len();
    let text = std::str::from_utf8(&head[at..]).ok()?.split(['\r', ',']).next()?;
    let (ms, us) = text.split_once('.')?;
    let (ms, us): (u64, u64) = (ms.parse().ok()?, us.parse().ok()?);
    Some(Duration::from_micros(ms * 1000 + us))
}

/// The content-length that a head names.
pub fn content_length(head: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length:";
    head.split(|b| *b == b'\n').find_map(|line| {
        let (name, value) = line.split_at_checked(NAME.len())?;
        name.eq_ignore_ascii_case(NAME)
            .then(|| std::str::from_utf8(value).ok()?.trim().parse().ok())?
    })
}

/// A text of 26 characters in random order, never the same twice: what clients' idempotency keys are.
pub fn unique() -> [u8; 26] {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    fn mix(n: u64) -> u64 {
        let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        n ^ (n >> 31)
    }
    static SALT: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    let salt = *SALT.get_or_init(|| {
        use std::hash::{BuildHasher as _, RandomState};
        RandomState::new().hash_one(std::process::id())
    });
    let n = NEXT.fetch_add(1, Ordering::Relaxed) ^ salt;
    let mut value = (u128::from(mix(n)) << 64) | u128::from(mix(!n));
    let mut text = [0; 26];
    for place in text.iter_mut().rev() {
        *place = b"0123456789abcdefghjkmnpqrstvwxyz"[(value & 31) as usize];
        value >>= 5;
    }
    text
}

/// Drives `script` on its own threads until the time is over.
///
/// # Errors
/// When not even one connection can be made.
pub async fn drive<S: Script>(drive: Drive, script: Arc<S>) -> anyhow::Result<Load> {
    let threads = 2.min(drive.connections.max(1));
    let began = now();
    let runs: Vec<_> = (0..threads)
        .map(|thread| {
            let (drive, script) = (drive.clone(), script.clone());
            tokio::task::spawn_blocking(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()?;
                let all = (0..drive.connections).filter(|n| n % threads == thread);
                let all = all
                    .map(|n| connection(&drive, script.clone(), began, n))
                    .collect::<Vec<_>>();
                let loads = runtime.block_on(futures_util::future::join_all(all));
                let mut sum = Load::new(drive.measured);
                loads.into_iter().for_each(|load| sum.add(load));
                anyhow::Ok(sum)
            })
        })
        .collect();
    let mut sum = Load::new(drive.measured);
    for run in runs {
        sum.add(run.await.context("a thread of the load generator")??);
    }
    Ok(sum)
}

#[expect(clippy::disallowed_methods, reason = "the bench measures real time")]
fn now() -> Instant {
    Instant::now()
}

async fn connection<S: Script>(drive: &Drive, script: Arc<S>, began: Instant, number: usize) -> Load {
    let mut load = Load::new(drive.measured);
    let warm = began + drive.warmup;
    let end = warm + drive.measured;
    let mut wire = None;
    let mut n = 0_u64;
    // The bound beside time: nobody passes faster than a million times a second.
    while n < 1 << 40 {
        let mut start = now();
        if let Some(rate) = drive.rate {
            let nanos =
                (n * drive.connections as u64 + number as u64).saturating_mul(1_000_000_000) / rate.max(1);
            let due = began + Duration::from_nanos(nanos);
            if due > start && due < end {
                // Not from the instant it was due: the timer here wakes up to two milliseconds late, and the hub is not to blame.
                tokio::time::sleep_until(due.into()).await;
                start = now();
            } else {
                // The last answer came too late for it, and the hub is.
                start = due;
            }
        }
        n += 1;
        if start >= end || now() >= end {
            break;
        }
        let passed = async {
            if wire.is_none() {
                wire = Some(Wire::connect(drive.address, number).await?);
            }
            let wire = wire.as_mut().expect("just connected");
            wire.provider = Duration::ZERO;
            let passed = script.pass(wire).await?;
            anyhow::Ok((passed, wire.provider))
        }
        .await;
        let ended = now();
        if start < warm || ended > end {
            if passed.is_err() {
                wire = None;
            }
            continue;
        }
        match passed {
            Ok((true, provider)) => {
                load.good += 1;
                let us = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1);
                load.latency.saturating_record(us(ended - start));
                load.overhead
                    .saturating_record(us((ended - start).saturating_sub(provider)));
            }
            Ok((false, _)) => {
                let body = wire
                    .as_ref()
                    .map(|wire| String::from_utf8_lossy(wire.body()).chars().take(120).collect());
                load.trouble(body.unwrap_or_default());
            }
            Err(error) => {
                wire = None;
                load.trouble(format!("{error:#}"));
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
    load
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_is_found_whatever_its_case() {
        assert_eq!(
            content_length(b"HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 12\r\n\r\n"),
            Some(12)
        );
        assert_eq!(
            content_length(b"HTTP/1.1 200 OK\r\ncontent-length:3\r\n\r\n"),
            Some(3)
        );
        assert_eq!(content_length(b"HTTP/1.1 200 OK\r\n\r\n"), None);
    }

    #[test]
    fn the_provider_s_part_is_read_from_the_head() {
        let head = b"HTTP/1.1 200 OK\r\nserver-timing: total;dur=3.100, provider;dur=1.020\r\n\r\n";
        assert_eq!(provider_time(head), Some(Duration::from_micros(1_020)));
        assert_eq!(provider_time(b"HTTP/1.1 200 OK\r\n\r\n"), None);
    }

    #[test]
    fn keys_are_never_the_same() {
        let all: std::collections::BTreeSet<_> = (0..1_000).map(|_| unique()).collect();
        assert_eq!(all.len(), 1_000);
    }
}
