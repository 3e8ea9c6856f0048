//! `/api/v1`: routes, keys, versions, idempotency, faults and headers. Source: docs/providers/komoju.md, sections 1, 2 and 6.
use super::KomojuSandbox;
use super::desk::{Desk, Said};
use super::error::{ApiError, Done, Fail};
use super::input::Params;
use super::methods;
use super::notices::misstate;
use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use kessai_provider::sandbox::{Answer, Ask, Drawn, FaultKind, Page};
use kessai_provider::transport::{Method, Reply};
use serde_json::{Value, json};

const KEY_LIFE: SignedDuration = SignedDuration::from_hours(24);
const VERSIONS: [&str; 2] = ["2024-07-15", "2025-01-28"];

/// An operation of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    SessionsCreate,
    SessionsShow,
    SessionsPay,
    SessionsCancel,
    PaymentsCreate,
    PaymentsList,
    PaymentsShow,
    PaymentsUpdate,
    PaymentsCapture,
    PaymentsCancel,
    PaymentsRefund,
    PaymentsRefundRequest,
    MethodsList,
    TokensCreate,
    SecureTokensCreate,
    SecureTokensShow,
    CustomersCreate,
    CustomersList,
    CustomersShow,
    CustomersUpdate,
    CustomersDelete,
    EventsList,
    EventsShow,
}

impl Op {
    /// The name faults go by.
    const fn name(self) -> &'static str {
        match self {
            Self::SessionsCreate => "sessions.create",
            Self::SessionsShow => "sessions.show",
            Self::SessionsPay => "sessions.pay",
            Self::SessionsCancel => "sessions.cancel",
            Self::PaymentsCreate => "payments.create",
            Self::PaymentsList => "payments.list",
            Self::PaymentsShow => "payments.show",
            Self::PaymentsUpdate => "payments.update",
            Self::PaymentsCapture => "payments.capture",
            Self::PaymentsCancel => "payments.cancel",
            Self::PaymentsRefund => "payments.refund",
            Self::PaymentsRefundRequest => "payments.refund_request",
            Self::MethodsList => "payment_methods.list",
            Self::TokensCreate => "tokens.create",
            Self::SecureTokensCreate => "secure_tokens.create",
            Self::SecureTokensShow => "secure_tokens.show",
            Self::CustomersCreate => "customers.create",
            Self::CustomersList => "customers.list",
            Self::CustomersShow => "customers.show",
            Self::CustomersUpdate => "customers.update",
            Self::CustomersDelete => "customers.delete",
            Self::EventsList => "events.list",
            Self::EventsShow => "events.show",
        }
    }

    /// Whether browsers may call it with a publishable key.
    const fn is_public(self) -> bool {
        matches!(
            self,
            Self::SessionsShow
                | Self::SessionsPay
                | Self::TokensCreate
                | Self::SecureTokensCreate
                | Self::SecureTokensShow
                | Self::MethodsList
        )
    }
}

fn route(method: Method, path: &str) -> Option<(Op, &str)> {
    let mut parts = path.trim_end_matches('/').split('/').skip(1);
    let (first, id, act, rest) = (parts.next()?, parts.next(), parts.next(), parts.next());
    if rest.is_some() {
        return None;
    }
    let op = match (method, first, id, act) {
        (Method::Post, "sessions", None, None) => Op::SessionsCreate,
        (Method::Get, "sessions", Some(_), None) => Op::SessionsShow,
        (Method::Post, "sessions", Some(_), Some("pay")) => Op::SessionsPay,
        (Method::Post, "sessions", Some(_), Some("cancel")) => Op::SessionsCancel,
        (Method::Post, "payments", None, None) => Op::PaymentsCreate,
        (Method::Get, "payments", None, None) => Op::PaymentsList,
        (Method::Get, "payments", Some(_), None) => Op::PaymentsShow,
        (Method::Patch, "payments", Some(_), None) => Op::PaymentsUpdate,
        (Method::Post, "payments", Some(_), Some("capture")) => Op::PaymentsCapture,
        (Method::Post, "payments", Some(_), Some("cancel")) => Op::PaymentsCancel,
        (Method::Post, "payments", Some(_), Some("refund")) => Op::PaymentsRefund,
        (Method::Post, "payments", Some(_), Some("refund_request")) => Op::PaymentsRefundRequest,
        (Method::Get, "payment_methods", None, None) => Op::MethodsList,
        (Method::Post, "tokens", None, None) => Op::TokensCreate,
        (Method::Post, "secure_tokens", None, None) => Op::SecureTokensCreate,
        (Method::Get, "secure_tokens", Some(_), None) => Op::SecureTokensShow,
        (Method::Post, "customers", None, None) => Op::CustomersCreate,
        (Method::Get, "customers", None, None) => Op::CustomersList,
        (Method::Get, "customers", Some(_), None) => Op::CustomersShow,
        (Method::Patch, "customers", Some(_), None) => Op::CustomersUpdate,
        (Method::Delete, "customers", Some(_), None) => Op::CustomersDelete,
        (Method::Get, "events", None, None) => Op::EventsList,
        (Method::Get, "events", Some(_), None) => Op::EventsShow,
        _ => return None,
    };
    Some((op, id.unwrap_or_default()))
}

fn refuse(error: &ApiError) -> Said {
    Said {
        status: error.status,
        body: json!({"error": error.object()}).to_string(),
    }
}

fn reply(said: Said) -> Reply {
    let headers = [
        ("content-type", "application/json; charset=utf-8"),
        ("cache-control", "no-store"),
        ("access-control-allow-origin", "*"),
    ];
    Reply {
        status: said.status,
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        body: Bytes::from(said.body),
    }
}

fn preflight() -> Reply {
    let headers = [
        ("access-control-allow-origin", "*"),
        (
            "access-control-allow-methods",
            "GET, POST, PATCH, DELETE, OPTIONS",
        ),
        (
            "access-control-allow-headers",
            "authorization, content-type, accept, x-komoju-api-version, x-komoju-idempotency, komoju-via, komoju-scenario",
        ),
        ("access-control-max-age", "600"),
    ];
    Reply {
        status: 204,
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        body: Bytes::new(),
    }
}

/// What a request is, once it was let in.
struct Let<'a> {
    op: Op,
    id: &'a str,
    ask: &'a Ask,
    params: Params,
    scenario: Option<String>,
    desk_forced: Option<String>,
    old_version: bool,
}

impl KomojuSandbox {
    /// Answers a path under `/api/v1`, `path` being what follows that.
    pub(super) fn api(&self, ask: &Ask, path: &str, now: Timestamp) -> Answer {
        if ask.method == Method::Options {
            return Answer::Reply {
                reply: preflight(),
                after_ms: 0,
            };
        }
        let Some((op, id)) = route(ask.method, path) else {
            return Answer::Reply {
                reply: reply(refuse(&ApiError::of("not_found"))),
                after_ms: 0,
            };
        };
        let drawn = self.faults.draw(op.name(), &*self.entropy);
        self.save_faults_now(&drawn);
        let error = |status: u16| reply(refuse(&ApiError::with_status(status)));
        if let Some(answer) = drawn.before(error) {
            return answer;
        }
        let said = match self.admit(ask, op, id, &drawn) {
            Ok(request) => self.carry_out(&request, now),
            Err(fault) => refuse(&fault),
        };
        drawn.after(reply(distort(said, &drawn)), error)
    }

    fn admit<'a>(&self, ask: &'a Ask, op: Op, id: &'a str, drawn: &Drawn) -> Result<Let<'a>, ApiError> {
        self.check_key(ask, op)?;
        let old_version = match ask.header("x-komoju-api-version") {
            None => false,
            Some(version) => match VERSIONS.iter().position(|known| *known == version) {
                Some(place) => place == 0,
                None => return Err(ApiError::of("bad_request").saying("The API version is unknown.")),
            },
        };
        let params = match ask.method {
            Method::Get => Params::form(ask.query()),
            _ => Params::read(ask.header("content-type").unwrap_or_default(), &ask.body)?,
        };
        let scenario = ask
            .header("komoju-scenario")
            .filter(|code| !code.is_empty() && code.len() <= 60);
        let scenario = scenario.map(str::to_owned);
        let forced = drawn.decline().map(str::to_owned);
        let desk_forced = if op == Op::PaymentsCreate {
            forced.or_else(|| scenario.clone())
        } else {
            forced
        };
        Ok(Let {
            op,
            id,
            ask,
            params,
            scenario,
            desk_forced,
            old_version,
        })
    }

    /// Basic auth with the key as user; also without the colon, as KOMOJU's own mobile SDK sends it.
    fn check_key(&self, ask: &Ask, op: Op) -> Result<(), ApiError> {
        let given = ask.header("authorization").and_then(|header| {
            let (scheme, text) = header.split_once(' ')?;
            scheme.eq_ignore_ascii_case("basic").then_some(())?;
            let text = String::from_utf8(STANDARD.decode(text.trim()).ok()?).ok()?;
            Some(text.split(':').next().unwrap_or_default().to_owned())
        });
        let Some(key) = given.filter(|key| !key.is_empty()) else {
            return Err(ApiError::of("unauthorized"));
        };
        if key == self.secret_key.expose() {
            return Ok(());
        }
        if key != self.publishable_key {
            return Err(ApiError::of("unauthorized"));
        }
        if op.is_public() {
            Ok(())
        } else {
            Err(ApiError::of("forbidden"))
        }
    }

    fn carry_out(&self, request: &Let<'_>, now: Timestamp) -> Said {
        let key = match request
            .ask
            .header("x-komoju-idempotency")
            .filter(|_| request.ask.method == Method::Post)
        {
            Some(key) if key.is_empty() || key.len() > 100 || !key.is_ascii() => {
                return refuse(&ApiError::invalid(
                    "X-KOMOJU-IDEMPOTENCY",
                    "1 to 100 ASCII characters were expected",
                ));
            }
            key => key,
        };
        let print = key.map(|_| fingerprint(request.ask));
        let done = if matches!(request.ask.method, Method::Get) {
            self.books.read(|page| self.perform(page, request, now))
        } else {
            self.books.write(|page| {
                if let (Some(key), Some(print)) = (key, &print)
                    && let Some(kept) = page.kept(key)?
                    && now < kept.at.saturating_add(KEY_LIFE).unwrap_or(Timestamp::MAX)
                {
                    if kept.fingerprint != *print {
                        let reused =
                            ApiError::impossible("This idempotency key was used for another request.");
                        return Ok(refuse(&reused));
                    }
                    return Ok(Said {
                        status: kept.status,
                        body: kept.body,
                    });
                }
                let said = self.perform(page, request, now)?;
                if let (Some(key), Some(print)) = (key, &print) {
                    page.keep(key, print, said.status, &said.body, now)?;
                }
                Ok(said)
            })
        };
        match done {
            Ok(said) => said,
            Err(Fail::Api(error)) => {
                // Nothing was booked for it; the refusal itself is replayed like any other answer.
                let said = refuse(&error);
                if let (Some(key), Some(print)) = (key, &print) {
                    let _ = self
                        .books
                        .write(|page| page.keep(key, print, said.status, &said.body, now));
                }
                said
            }
            Err(Fail::Books(fault)) => {
                tracing::error!(
                    error = &fault as &dyn std::error::Error,
                    "the KOMOJU sandbox's books failed"
                );
                refuse(&ApiError::of("internal_server_error"))
            }
        }
    }

    fn perform(&self, page: &Page<'_>, request: &Let<'_>, now: Timestamp) -> Done<Said> {
        let Let {
            op,
            id,
            params,
            scenario,
            ..
        } = request;
        let forced = request.desk_forced.clone();
        let desk = Desk {
            page,
            house: self,
            now,
            forced,
            old_version: request.old_version,
        };
        if let Some(code) = &desk.forced
            && matches!(
                op,
                Op::PaymentsCapture | Op::PaymentsCancel | Op::PaymentsRefund | Op::PaymentsRefundRequest
            )
        {
            return Err(ApiError::of(code).into());
        }
        match op {
            Op::SessionsCreate => desk.create_session(params, scenario.clone()),
            Op::SessionsShow => desk.show_session(id),
            Op::SessionsPay => desk.pay_session(id, params),
            Op::SessionsCancel => desk.cancel_session(id),
            Op::PaymentsCreate => desk.create_payment(params),
            Op::PaymentsList => desk.list_payments(params),
            Op::PaymentsShow => desk.said(&desk.payment(id)?),
            Op::PaymentsUpdate => desk.update_payment(id, params),
            Op::PaymentsCapture => desk.capture_payment(id, params),
            Op::PaymentsCancel => desk.cancel_payment(id),
            Op::PaymentsRefund => desk.refund_payment(id, params),
            Op::PaymentsRefundRequest => desk.request_refund(id, params),
            Op::MethodsList => Said::json(&methods::all()),
            Op::TokensCreate => desk.create_token(params),
            Op::SecureTokensCreate => desk.create_secure_token(params),
            Op::SecureTokensShow => desk.show_secure_token(id),
            Op::CustomersCreate => desk.create_customer(params, scenario.clone()),
            Op::CustomersList => desk.list_customers(params),
            Op::CustomersShow => desk.show_customer(id),
            Op::CustomersUpdate => desk.update_customer(id, params),
            Op::CustomersDelete => desk.delete_customer(id),
            Op::EventsList => desk.list_events(params),
            Op::EventsShow => desk.show_event(id),
        }
    }
}

/// A hash of method, path and body: the body itself may hold a card number.
fn fingerprint(ask: &Ask) -> Vec<u8> {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(ask.path_and_query.as_bytes());
    context.update(b"\n");
    context.update(&ask.body);
    context.finish().as_ref().to_vec()
}

/// Faults that change what a reply says without changing what was booked.
fn distort(said: Said, drawn: &Drawn) -> Said {
    let (status, amount) = (
        drawn.has(&FaultKind::UnlistedStatus),
        drawn.has(&FaultKind::WrongAmount),
    );
    if !status && !amount {
        return said;
    }
    let Ok(mut body) = serde_json::from_str::<Value>(&said.body) else {
        return said;
    };
    let mut payments: Vec<&mut Value> = match &mut body {
        Value::Object(fields) if fields.get("resource") == Some(&json!("payment")) => vec![&mut body],
        Value::Object(fields) if fields.contains_key("payment") => {
            fields.get_mut("payment").into_iter().collect()
        }
        Value::Object(fields) => match fields.get_mut("data") {
            Some(Value::Array(items)) => items.iter_mut().collect(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    };
    for payment in payments.iter_mut().filter(|payment| payment.is_object()) {
        if status {
            payment["status"] = json!("under_review");
        }
        if amount {
            misstate(payment);
        }
    }
    Said {
        body: body.to_string(),
        ..said
    }
}
