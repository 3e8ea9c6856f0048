//! A shop's webhook endpoint: in bad weather it refuses some events and hangs up after taking others.
use crate::dice::Dice;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What became of one event here.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// Its place among the first arrivals of all events.
    pub place: usize,
    /// How often it was taken.
    pub times: usize,
}

#[derive(Default)]
struct Book {
    taken: BTreeMap<String, Arrival>,
    refused: usize,
    hung_up: usize,
}

/// The endpoint.
pub struct Endpoint {
    /// Where it is.
    pub url: String,
    book: Arc<Mutex<Book>>,
    storm: Arc<AtomicBool>,
}

impl Endpoint {
    /// Listens on a free port, in bad weather.
    ///
    /// # Errors
    /// When there is no port.
    #[expect(clippy::disallowed_methods, reason = "a server of this program's own")]
    pub async fn listen(seed: u64) -> anyhow::Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/hook", listener.local_addr()?);
        let book: Arc<Mutex<Book>> = Arc::default();
        let storm = Arc::new(AtomicBool::new(true));
        let dice = Arc::new(Mutex::new(Dice::new(seed, 0xe7d)));
        let (kept, weather) = (book.clone(), storm.clone());
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (kept, weather, dice) = (kept.clone(), weather.clone(), dice.clone());
                tokio::spawn(async move {
                    let _ = converse(socket, &kept, &weather, &dice).await;
                });
            }
        });
        Ok(Self { url, book, storm })
    }

    /// From now on it takes everything.
    pub fn calm(&self) {
        self.storm.store(false, Ordering::SeqCst);
    }

    /// Every event taken so far, by its id.
    pub fn taken(&self) -> BTreeMap<String, Arrival> {
        self.book
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .taken
            .clone()
    }

    /// How many deliveries were refused, and how many taken and not answered.
    pub fn unkind(&self) -> (usize, usize) {
        let book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        (book.refused, book.hung_up)
    }
}

enum Mood {
    Take,
    Refuse,
    HangUp,
}

async fn converse(
    mut socket: tokio::net::TcpStream,
    book: &Mutex<Book>,
    storm: &AtomicBool,
    dice: &Mutex<Dice>,
) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let head_ends = loop {
            if let Some(at) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            if socket.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        let head = String::from_utf8_lossy(&buffer[..head_ends]).to_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"))
            .and_then(|length| length.trim().parse::<usize>().ok())
            .unwrap_or(0);
        while buffer.len() < head_ends + length {
            if socket.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        }
        let rest = buffer.split_off(head_ends + length);
        let event: serde_json::Value = serde_json::from_slice(&buffer[head_ends..]).unwrap_or_default();
        buffer = rest;
        let mood = if storm.load(Ordering::SeqCst) {
            let mut dice = dice.lock().unwrap_or_else(PoisonError::into_inner);
            match dice.below(1_000) {
                0..40 => Mood::Refuse,
                40..60 => Mood::HangUp,
                _ => Mood::Take,
            }
        } else {
            Mood::Take
        };
        {
            let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
            match mood {
                Mood::Refuse => book.refused += 1,
                Mood::Take | Mood::HangUp => {
                    book.hung_up += usize::from(matches!(mood, Mood::HangUp));
                    let place = book.taken.len();
                    let id = event["id"].as_str().unwrap_or_default().to_owned();
                    book.taken.entry(id).or_insert(Arrival { place, times: 0 }).times += 1;
                }
            }
        }
        let answer: &[u8] = match mood {
            Mood::Take => b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            Mood::Refuse => b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n",
            Mood::HangUp => return Ok(()),
        };
        socket.write_all(answer).await?;
    }
}
