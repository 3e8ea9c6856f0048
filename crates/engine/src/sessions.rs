//! Checkout sessions: made by the shop, paid by the shopper.
use crate::details::{self};
use crate::directory::Shop;
use crate::idempotency::{self, Answer, Halt, Idempotency};
use crate::methods::{check_amount, session_methods};
use crate::model::{Metadata, Payment, Session, SessionBody};
use crate::payments::{Charge, Source, new_body, order_number};
use crate::problem::Problem;
use crate::stock::Holding;
use crate::wire::{self, SessionSurroundings};
use crate::{Engine, later};
use kessai_core::capability::Kind;
use kessai_core::payment::{CaptureMode, Status};
use kessai_core::session::{self, SessionClosed, SessionMode, SessionStatus};
use kessai_core::stock::{Goods, Hold};
use kessai_core::tax::Totals;
use kessai_core::{Currency, CustomerId, Money, PaymentId, SessionId};
use kessai_provider::port::{Authorize, Instrument};
use kessai_store::repo::{self, SessionRow, micros};
use kessai_store::{ChangeSet, Commit, Guard, Op};
use serde_json::{Map, Value};

/// `POST /sessions`.
#[derive(Debug, Clone)]
pub struct CreateSession {
    /// What it is for.
    pub mode: SessionMode,
    /// Taxes included, in minor units; 0 only in `customer` mode.
    pub amount: i64,
    /// Its currency.
    pub currency: Currency,
    /// Where the shopper returns to.
    pub return_url: Option<Box<str>>,
    /// `ja`, `en` or `ko`.
    pub locale: Box<str>,
    /// The offered methods; all of the shop's when empty.
    pub methods: Vec<Box<str>>,
    /// The shopper's address.
    pub email: Option<Box<str>>,
    /// 1 to 86,400.
    pub life_s: i64,
    /// The shop's name for the shopper.
    pub external_customer_id: Option<Box<str>>,
    /// For display.
    pub line_items: Vec<Value>,
    /// What of them is counted in stock, one line for each thing.
    pub goods: Vec<Goods>,
    /// The shop's notes.
    pub metadata: Metadata,
    /// When the money is taken.
    pub capture: CaptureMode,
    /// The shop's order number.
    pub order_number: Option<Box<str>>,
    /// The rest of `payment_data`.
    pub payment_data: Map<String, Value>,
    /// The customer to update (customer modes).
    pub customer: Option<Box<str>>,
    /// `Komoju-Scenario`, test mode only.
    pub scenario: Option<Box<str>>,
}

/// `POST /sessions/{id}/pay`.
#[derive(Debug, Clone)]
pub struct PaySession {
    /// What is charged.
    pub source: Source,
    /// When the money is taken; the session's when absent.
    pub capture: Option<CaptureMode>,
    /// Passed through.
    pub fraud_details: Option<Value>,
}

impl From<SessionClosed> for Problem {
    fn from(closed: SessionClosed) -> Self {
        let mut text = closed.to_string();
        text[..1].make_ascii_uppercase();
        Self::with("unprocessable_entity", text)
    }
}

impl Engine {
    /// Makes a session.
    ///
    /// # Errors
    /// As the reference says for each attribute.
    pub async fn create_session(
        &self,
        shop: &Shop,
        key: Option<&Idempotency>,
        command: CreateSession,
    ) -> Result<Answer, Problem> {
        self.once(&shop.id, key, self.make_session(shop, key, command))
            .await
    }

    async fn make_session(
        &self,
        shop: &Shop,
        key: Option<&Idempotency>,
        command: CreateSession,
    ) -> Result<Answer, Halt> {
        let now = self.now();
        let amount = Money::new(command.amount, command.currency)
            .map_err(|_| Problem::invalid("amount", "Amount must be greater than 0"))?;
        if amount.is_zero() && command.mode != SessionMode::Customer {
            return Err(Problem::invalid("amount", "Amount must be greater than 0").into());
        }
        if !(1..=session::MAX_LIFE_S).contains(&command.life_s) {
            return Err(
                Problem::invalid("expires_in_seconds", "expires_in_seconds must be from 1 to 86400").into(),
            );
        }
        for method in &command.methods {
            if self.capability(shop, method).is_none() {
                let names: Vec<&str> = self.offered(shop).iter().map(|c| c.method).collect();
                let message = format!(
                    "Payment type {method} is not offered; offered are {}",
                    names.join(", ")
                );
                return Err(Problem {
                    param: Some("payment_types".into()),
                    ..Problem::with("invalid_payment_type", message)
                }
                .into());
            }
        }
        let customer = match &command.customer {
            Some(id) => {
                let found = repo::customer(self.store.as_ref(), &shop.id, id).await?;
                found
                    .filter(|row| row.deleted_at.is_none())
                    .ok_or_else(Problem::not_found)?;
                Some(id.parse::<CustomerId>().map_err(|_| Problem::not_found())?)
            }
            None => None,
        };
        self.in_stock(&shop.id, &command.goods).await?;
        let session = Session {
            shop: shop.id.clone(),
            id: SessionId::new(now, self.entropy.as_ref()),
            status: SessionStatus::Pending,
            mode: command.mode,
            version: 1,
            created_at: now,
            expires_at: later(now, command.life_s),
            completed_at: None,
            body: SessionBody {
                amount,
                return_url: command.return_url,
                locale: command.locale,
                methods: command.methods,
                email: command.email,
                capture: command.capture,
                order_number: command.order_number,
                payment_data: command.payment_data,
                line_items: command.line_items,
                goods: command.goods,
                metadata: command.metadata,
                customer,
                scenario: command.scenario,
                payment: None,
                tries: 0,
                external_customer_id: command.external_customer_id,
                cancelled_at: None,
            },
        };
        let offer = self.session_offer(shop, &session);
        if offer.is_empty() {
            let message = "No offered payment type can take this amount in this currency";
            return Err(Problem {
                param: Some("amount".into()),
                ..Problem::with("invalid_payment_type", message)
            }
            .into());
        }
        let answer = Answer::ok(self.show(shop, &session, None));
        let mut guards = Vec::new();
        if let Some(key) = key {
            guards.push(idempotency::done_at_once(&shop.id, key, &answer, now));
        }
        if let Some(number) = &session.body.order_number {
            guards.push(order_number(&shop.id, number, session.id.as_str(), now));
        }
        let ops = vec![Op::Insert(SessionRow::TABLE, session.row().into_values())];
        match self.store.commit(ChangeSet { guards, ops }).await? {
            Commit::Done => Ok(answer),
            Commit::Refused { guard: 0 } if key.is_some() => Err(Halt::KeyTaken),
            Commit::Refused { .. } => Err(Problem::invalid(
                "external_order_num",
                "external_order_num has already been taken",
            )
            .into()),
        }
    }

    fn show(&self, shop: &Shop, session: &Session, payment: Option<&Payment>) -> String {
        let methods = session_methods(shop, session, &self.session_offer(shop, session));
        let around = SessionSurroundings {
            public_url: &self.settings.public_url,
            shop_name: &shop.name,
            methods: &methods,
            payment,
            now: self.now(),
        };
        wire::session(session, &around)
    }

    /// Reads a session.
    pub(crate) async fn load_session(&self, shop: &str, id: &str) -> Result<Option<Session>, Problem> {
        let Some(row) = repo::session(self.store.as_ref(), shop, id).await? else {
            return Ok(None);
        };
        Session::from_row(row).map(Some).map_err(|error| {
            tracing::error!(%error, "a session cannot be read");
            Problem::new("internal_server_error")
        })
    }

    /// A session of a shop with its latest payment.
    ///
    /// # Errors
    /// `not_found` also for another shop's.
    pub async fn session(&self, shop: &Shop, id: &str) -> Result<(Session, Option<Payment>), Problem> {
        let session = self
            .load_session(&shop.id, id)
            .await?
            .ok_or_else(Problem::not_found)?;
        let payment = match &session.body.payment {
            Some(payment) => self.load(&shop.id, payment.as_str()).await?,
            None => None,
        };
        Ok((session, payment))
    }

    /// `GET /sessions/{id}`.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn show_session(&self, shop: &Shop, id: &str) -> Result<String, Problem> {
        let (session, payment) = self.session(shop, id).await?;
        Ok(self.show(shop, &session, payment.as_ref()))
    }

    /// `POST /sessions/{id}/cancel`: also gives up its open payment, so that nothing can be paid afterwards.
    ///
    /// # Errors
    /// `unprocessable_entity` when it is not pending; `conflict` while a payment's end cannot be known.
    pub async fn cancel_session(
        &self,
        shop: &Shop,
        id: &str,
        key: Option<&Idempotency>,
    ) -> Result<Answer, Problem> {
        self.once(&shop.id, key, async {
            let _turn = self.session_locks.hold(id).await;
            for _ in 0..8 {
                let (mut session, payment) = self.session(shop, id).await?;
                session::open(session.status, session.expires_at, self.now()).map_err(Problem::from)?;
                if let Some(open) = payment.as_ref().filter(|payment| payment.status().is_open()) {
                    if self.give_up(shop, open.id.as_str()).await?.status().is_open() {
                        let text = "The session's payment is still being confirmed with the provider.";
                        return Err(Problem::with("conflict", text).into());
                    }
                    // Meanwhile another node may have begun another: what stands now is looked at afresh.
                    continue;
                }
                let expected = session.version;
                session.status = SessionStatus::Cancelled;
                session.body.cancelled_at = Some(micros(self.now()));
                session.version += 1;
                let answer = Answer::ok(self.show(shop, &session, payment.as_ref()));
                let row = session.row().into_values();
                let mut guards = vec![Guard::Update {
                    table: SessionRow::TABLE,
                    row,
                    expected,
                }];
                if let Some(key) = key {
                    guards.push(idempotency::done_at_once(&shop.id, key, &answer, self.now()));
                }
                match self.store.commit(ChangeSet { guards, ops: vec![] }).await? {
                    Commit::Done => return Ok(answer),
                    Commit::Refused { guard: 1 } => return Err(Halt::KeyTaken),
                    Commit::Refused { .. } => {}
                }
            }
            Err(Problem::with("conflict", "The session is changing too fast.").into())
        })
        .await
    }

    /// `POST /sessions/{id}/pay`. A refusal's body carries `"status":"error"` beside the error.
    ///
    /// # Errors
    /// As the reference says; the same session may be paid again after every error.
    pub async fn pay_session(
        &self,
        shop: &Shop,
        id: &str,
        key: Option<&Idempotency>,
        command: PaySession,
    ) -> Result<Answer, Problem> {
        let paying = async {
            let _turn = self.session_locks.hold(id).await;
            self.pay(shop, id, key, command).await
        };
        self.once_as(&shop.id, key, Problem::pay_body, paying).await
    }

    async fn pay(
        &self,
        shop: &Shop,
        id: &str,
        key: Option<&Idempotency>,
        command: PaySession,
    ) -> Result<Answer, Halt> {
        let now = self.now();
        let (session, _) = self.session(shop, id).await?;
        session::open(session.status, session.expires_at, now).map_err(Problem::from)?;
        if session.mode == SessionMode::Customer {
            return self.store_card_in_session(shop, session, key, command).await;
        }
        let mut session = self.without_live_payment(shop, id, now).await?;
        let mut command = command;
        if session.mode == SessionMode::CustomerPayment && !matches!(command.source, Source::Customer(_)) {
            let customer = self.store_card(shop, &session, &command.source).await?;
            session.body.customer = customer.parse().ok();
            command.source = Source::Customer(customer);
        }
        let chosen = self.choose(shop, &command.source, Some(&session), now).await?;
        let capability = chosen.route.capability;
        let fee = capability.session_fee;
        let totals = Totals::in_session(session.body.amount, fee)
            .map_err(|_| Problem::invalid("amount", "amount is out of range"))?;
        check_amount(
            capability,
            session.body.amount.minor(),
            session.body.amount.currency(),
        )?;
        let wanted = command.capture.unwrap_or(session.body.capture);
        let capture = if capability.operations.two_step {
            wanted
        } else {
            CaptureMode::Auto
        };
        let payment_id = PaymentId::new(now, self.entropy.as_ref());
        let deadline = details::deadline(capability, &chosen.details.fields, now);
        let payment = Payment {
            shop: shop.id.clone(),
            id: payment_id,
            method: chosen.details.method.clone(),
            provider: chosen.route.provider.id().into(),
            reference: None,
            session: Some(session.id.clone()),
            customer: chosen.customer,
            order_number: session.body.order_number.clone(),
            deadline_at: Some(match capability.kind {
                // A shopper who is away pays before the session ends, or not at all.
                Kind::Offsite => deadline.max(session.expires_at.min(deadline)),
                Kind::Card | Kind::Slip | Kind::Prepaid => deadline,
            }),
            created_at: now,
            version: 0,
            body: new_body(totals, capture, &chosen.details, &session.body.locale),
        };
        let payment = Payment {
            body: crate::model::PaymentBody {
                stock: (!session.body.goods.is_empty()).then(|| Holding {
                    goods: session.body.goods.clone(),
                    hold: Hold::Held,
                }),
                metadata: session.body.metadata.clone(),
                ..payment.body
            },
            ..payment
        };
        let back = format!("{}/sessions/{}/return", self.settings.public_url, session.id);
        let in_session = !matches!(chosen.details.instrument, Instrument::Stored(_));
        let authorize = Authorize {
            method: payment.method.clone(),
            instrument: chosen.details.instrument,
            fields: chosen.details.fields,
            totals,
            capture,
            in_session,
            return_url: Some(back.as_str().into()),
            cancel_url: Some(back.into()),
            locale: session.body.locale.clone(),
            email: session.body.email.clone(),
            description: None,
            scenario: session.body.scenario.clone(),
            fraud_details: command.fraud_details,
        };
        let charge = Charge {
            payment,
            session: Some(session),
            authorize,
            route: chosen.route,
            guards: chosen.guards,
            owns_number: false,
        };
        let public_url = self.settings.public_url.clone();
        let answer =
            move |payment: &Payment, session: Option<&Session>, problem: Option<&Problem>| match problem {
                Some(problem) => Answer {
                    status: problem.status(),
                    body: problem.pay_body(),
                },
                None => pay_answer(&public_url, payment, session),
            };
        self.charge(shop, key, charge, &answer)
            .await
            .map(|(answer, ..)| answer)
    }

    /// The session as it stands once none of its payments is live. An earlier one is given up at its provider before the new one is
    /// begun; what was paid meanwhile stands. Read afresh after each: while we asked, another node may have begun another payment, and
    /// the version guard only protects what comes after the last read.
    async fn without_live_payment(
        &self,
        shop: &Shop,
        id: &str,
        now: jiff::Timestamp,
    ) -> Result<Session, Problem> {
        for _ in 0..4 {
            let (session, earlier) = self.session(shop, id).await?;
            session::open(session.status, session.expires_at, now).map_err(Problem::from)?;
            let Some(earlier) = earlier.filter(|earlier| earlier.status().is_open()) else {
                return Ok(session);
            };
            if self.give_up(shop, earlier.id.as_str()).await?.status().is_open() {
                break;
            }
        }
        let text =
            "The session's earlier payment is still being confirmed with the provider. Nothing was charged.";
        Err(Problem::with("conflict", text))
    }

    async fn store_card_in_session(
        &self,
        shop: &Shop,
        mut session: Session,
        key: Option<&Idempotency>,
        command: PaySession,
    ) -> Result<Answer, Halt> {
        let customer = self.store_card(shop, &session, &command.source).await?;
        let expected = session.version;
        session.status = SessionStatus::Completed;
        session.completed_at = Some(self.now());
        session.body.customer = customer.parse().ok();
        session.version += 1;
        let row = repo::customer(self.store.as_ref(), &shop.id, &customer)
            .await?
            .ok_or_else(Problem::not_found)?;
        let shown = serde_json::json!({
            "id": 1, "uuid": customer, "merchant_id": shop.merchant, "email": row.email,
            "currency": session.body.amount.currency().code(), "locale": session.body.locale, "name": null, "phone": null,
            "created_at": kessai_core::time::wire_utc(repo::instant(row.created_at)),
            "updated_at": kessai_core::time::wire_utc(self.now()), "archived_at": null,
        });
        let back = return_to(&self.settings.public_url, &session);
        let answer = Answer::ok(wire::pay_result(
            "completed",
            Some(&back),
            None,
            None,
            Some(shown),
        ));
        let row = session.row().into_values();
        let mut guards = vec![Guard::Update {
            table: SessionRow::TABLE,
            row,
            expected,
        }];
        if let Some(key) = key {
            guards.push(idempotency::done_at_once(&shop.id, key, &answer, self.now()));
        }
        match self.store.commit(ChangeSet { guards, ops: vec![] }).await? {
            Commit::Done => Ok(answer),
            Commit::Refused { guard: 1 } => Err(Halt::KeyTaken),
            Commit::Refused { .. } => {
                Err(Problem::with("conflict", "The session is being paid by another request.").into())
            }
        }
    }
}

/// Where a shopper goes when a session is over: the shop's page with the session's id, or ours when the shop named none.
pub fn return_to(public_url: &str, session: &Session) -> String {
    match &session.body.return_url {
        Some(url) => wire::with_query(url, "session_id", session.id.as_str()),
        None => wire::session_url(public_url, session.id.as_str()),
    }
}

/// What a pay that was not refused answers.
pub(crate) fn pay_answer(public_url: &str, payment: &Payment, session: Option<&Session>) -> Answer {
    let next = payment.body.next.as_ref();
    let ours = || wire::session_url(public_url, payment.session.as_ref().map_or("", |id| id.as_str()));
    let back = || session.map_or_else(ours, |session| return_to(public_url, session));
    let (status, redirect) = match payment.status() {
        Status::Pending => (
            "pending",
            next.map_or_else(ours, |next| next.redirect_url.to_string()),
        ),
        Status::Authorized if payment.body.state.capture_mode() == CaptureMode::Auto => (
            "completed",
            wire::instructions_url(public_url, payment.id.as_str()),
        ),
        Status::Authorized | Status::Captured => ("completed", back()),
        Status::Cancelled | Status::Expired | Status::Refunded | Status::Failed => ("error", ours()),
    };
    let app = next.and_then(|next| next.app_url.as_deref());
    Answer::ok(wire::pay_result(
        status,
        Some(&redirect),
        app,
        Some(payment),
        None,
    ))
}
