//! Sandboxes behind a transport, without a network between.
use super::{Answer, Ask, Sandbox};
use crate::transport::{MAX_REPLY_BYTES, Reply, Request, Transport, TransportFault};
use async_trait::async_trait;
use futures_channel::oneshot;
use kessai_core::Clock;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::Poll;

/// A transport that asks sandboxes directly. Never sleeps: a reply later than the request would wait is lost at once.
///
/// Requests made at the same time are answered together, since a sandbox's books take many as fast as one.
pub struct InProcess {
    mounts: Vec<(String, Counter)>,
    clock: Arc<dyn Clock>,
}

/// Where requests for a sandbox queue.
struct Counter {
    sandbox: Arc<dyn Sandbox>,
    waiting: Mutex<Vec<(Ask, oneshot::Sender<Answer>)>>,
    /// Held by whoever asks for all that wait.
    turn: Mutex<()>,
}

impl Counter {
    /// None if the sandbox panicked over it.
    async fn ask(&self, ask: Ask, clock: &dyn Clock) -> Option<Answer> {
        let (reply, answer) = oneshot::channel();
        self.waiting().push((ask, reply));
        // Lets those come who are about to.
        let mut came = false;
        poll_fn(|context| {
            if std::mem::replace(&mut came, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        self.serve(clock);
        answer.await.ok()
    }

    /// Answers all that wait, unless somebody else does: he looks again after his turn.
    fn serve(&self, clock: &dyn Clock) {
        while !self.waiting().is_empty() {
            let _turn = match self.turn.try_lock() {
                Ok(turn) => turn,
                Err(TryLockError::Poisoned(turn)) => turn.into_inner(),
                Err(TryLockError::WouldBlock) => return,
            };
            let (asks, replies): (Vec<_>, Vec<_>) = std::mem::take(&mut *self.waiting()).into_iter().unzip();
            let now = clock.now();
            self.sandbox.pass_time(now);
            let answers = self.sandbox.answer_all(&asks, now);
            for (reply, answer) in replies.into_iter().zip(answers) {
                // who went away does not hear it
                let _ = reply.send(answer);
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<(Ask, oneshot::Sender<Answer>)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InProcess {
    /// Sends every request for a URL under `base` to `sandbox`, at the time `clock` tells.
    pub fn new(base: &str, sandbox: Arc<dyn Sandbox>, clock: Arc<dyn Clock>) -> Self {
        Self {
            mounts: Vec::new(),
            clock,
        }
        .and(base, sandbox)
    }

    /// Also sends every request for a URL under `base` to `sandbox`.
    #[must_use]
    pub fn and(mut self, base: &str, sandbox: Arc<dyn Sandbox>) -> Self {
        let counter = Counter {
            sandbox,
            waiting: Mutex::default(),
            turn: Mutex::default(),
        };
        self.mounts.push((base.trim_end_matches('/').to_owned(), counter));
        self
    }

    /// Which sandbox a URL is for, and the path and query to ask it for.
    fn find(&self, url: &str) -> Option<(&Counter, String)> {
        let url = url.split('#').next().unwrap_or_default();
        self.mounts.iter().find_map(|(base, counter)| {
            let rest = url.strip_prefix(base.as_str())?;
            match rest.chars().next() {
                None => Some((counter, "/".to_owned())),
                Some('/') => Some((counter, rest.to_owned())),
                Some('?') => Some((counter, format!("/{rest}"))),
                Some(_) => None,
            }
        })
    }
}

#[async_trait]
impl Transport for InProcess {
    async fn send(&self, request: Request) -> Result<Reply, TransportFault> {
        let Some((counter, path_and_query)) = self.find(&request.url) else {
            return Err(TransportFault::NotSent(
                "no sandbox answers under this address".to_owned(),
            ));
        };
        let ask = Ask {
            method: request.method,
            path_and_query,
            headers: request.headers,
            body: request.body,
        };
        match counter.ask(ask, &*self.clock).await {
            None => Err(TransportFault::Lost("the sandbox broke down".to_owned())),
            Some(Answer::Refused) => Err(TransportFault::NotSent("connection refused".to_owned())),
            Some(Answer::Dropped) => Err(TransportFault::Lost("connection reset".to_owned())),
            Some(Answer::Reply { after_ms, .. }) if after_ms > request.timeout_ms => Err(
                TransportFault::Lost(format!("no reply within {} ms", request.timeout_ms)),
            ),
            Some(Answer::Reply { reply, .. }) if reply.body.len() > MAX_REPLY_BYTES => {
                Err(TransportFault::Lost("the reply is too large".to_owned()))
            }
            Some(Answer::Reply { reply, .. }) => Ok(reply),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::Notice;
    use crate::transport::Method;
    use bytes::Bytes;
    use jiff::Timestamp;
    use std::future::Future;
    use std::task::{Context, Waker};

    struct Echo;
    impl Sandbox for Echo {
        fn name(&self) -> &'static str {
            "echo"
        }
        fn answer(&self, ask: &Ask, _: Timestamp) -> Answer {
            match ask.path() {
                "/refused" => Answer::Refused,
                "/dropped" => Answer::Dropped,
                _ => {
                    let body = Bytes::from(ask.path_and_query.clone());
                    let after_ms = if ask.path() == "/late" { 11 } else { 10 };
                    Answer::Reply {
                        reply: Reply {
                            status: 200,
                            headers: vec![],
                            body,
                        },
                        after_ms,
                    }
                }
            }
        }
        fn pass_time(&self, _: Timestamp) {}
        fn due_notices(&self, _: Timestamp, _: usize) -> Vec<Notice> {
            Vec::new()
        }
        fn noticed(&self, _: &str, _: Option<u16>, _: Timestamp) {}
    }

    struct Still;
    impl Clock for Still {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }
    }

    fn send(url: &str) -> Result<String, TransportFault> {
        let transport = InProcess::new("http://sandbox.test/komoju/", Arc::new(Echo), Arc::new(Still));
        let request = Request {
            method: Method::Get,
            url: url.to_owned(),
            headers: vec![],
            body: Bytes::new(),
            timeout_ms: 10,
        };
        let mut sending = transport.send(request);
        let mut context = Context::from_waker(Waker::noop());
        // It steps aside once at most, for others to join it.
        let polled = (0..2).map(|_| Future::poll(sending.as_mut(), &mut context));
        match polled.into_iter().find(Poll::is_ready) {
            Some(Poll::Ready(sent)) => sent.map(|reply| String::from_utf8_lossy(&reply.body).into_owned()),
            _ => panic!("in-process never waits"),
        }
    }

    #[test]
    fn the_sandbox_sees_path_and_query_below_its_base() {
        assert_eq!(
            send("http://sandbox.test/komoju/api/v1/payments?page=2#x").as_deref(),
            Ok("/api/v1/payments?page=2")
        );
        assert_eq!(send("http://sandbox.test/komoju").as_deref(), Ok("/"));
        assert_eq!(send("http://sandbox.test/komoju?a=b").as_deref(), Ok("/?a=b"));
    }

    #[test]
    fn refusals_were_not_sent_and_losses_may_have_been() {
        assert!(matches!(
            send("http://sandbox.test/komojuu/x"),
            Err(TransportFault::NotSent(_))
        ));
        assert!(matches!(
            send("http://elsewhere.test/"),
            Err(TransportFault::NotSent(_))
        ));
        assert!(matches!(
            send("http://sandbox.test/komoju/refused"),
            Err(TransportFault::NotSent(_))
        ));
        assert!(matches!(
            send("http://sandbox.test/komoju/dropped"),
            Err(TransportFault::Lost(_))
        ));
        assert!(matches!(
            send("http://sandbox.test/komoju/late"),
            Err(TransportFault::Lost(_))
        ));
    }
}
