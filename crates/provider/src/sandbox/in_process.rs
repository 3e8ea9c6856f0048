//! Sandboxes behind a transport, without a network between.
use super::{Answer, Ask, Sandbox};
use crate::transport::{MAX_REPLY_BYTES, Reply, Request, Transport, TransportFault};
use async_trait::async_trait;
use kessai_core::Clock;
use std::sync::Arc;

/// A transport that asks sandboxes directly. Never sleeps: a reply later than the request would wait is lost at once.
pub struct InProcess {
    mounts: Vec<(String, Arc<dyn Sandbox>)>,
    clock: Arc<dyn Clock>,
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
        self.mounts.push((base.trim_end_matches('/').to_owned(), sandbox));
        self
    }

    /// Which sandbox a URL is for, and the path and query to ask it for.
    fn find(&self, url: &str) -> Option<(&dyn Sandbox, String)> {
        let url = url.split('#').next().unwrap_or_default();
        self.mounts.iter().find_map(|(base, sandbox)| {
            let rest = url.strip_prefix(base.as_str())?;
            match rest.chars().next() {
                None => Some((&**sandbox, "/".to_owned())),
                Some('/') => Some((&**sandbox, rest.to_owned())),
                Some('?') => Some((&**sandbox, format!("/{rest}"))),
                Some(_) => None,
            }
        })
    }
}

#[async_trait]
impl Transport for InProcess {
    async fn send(&self, request: Request) -> Result<Reply, TransportFault> {
        let Some((sandbox, path_and_query)) = self.find(&request.url) else {
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
        let now = self.clock.now();
        sandbox.pass_time(now);
        match sandbox.answer(&ask, now) {
            Answer::Refused => Err(TransportFault::NotSent("connection refused".to_owned())),
            Answer::Dropped => Err(TransportFault::Lost("connection reset".to_owned())),
            Answer::Reply { after_ms, .. } if after_ms > request.timeout_ms => Err(TransportFault::Lost(
                format!("no reply within {} ms", request.timeout_ms),
            )),
            Answer::Reply { reply, .. } if reply.body.len() > MAX_REPLY_BYTES => {
                Err(TransportFault::Lost("the reply is too large".to_owned()))
            }
            Answer::Reply { reply, .. } => Ok(reply),
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
    use std::task::{Context, Poll, Waker};

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
        match Future::poll(sending.as_mut(), &mut Context::from_waker(Waker::noop())) {
            Poll::Ready(sent) => sent.map(|reply| String::from_utf8_lossy(&reply.body).into_owned()),
            Poll::Pending => panic!("in-process never waits"),
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
