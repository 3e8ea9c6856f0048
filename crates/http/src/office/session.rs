//! Who is signed in, and whether a form was made for them.
use super::{Instead, forged, nowhere, refused, see_other};
use crate::app::App;
use crate::body;
use axum::extract::{FromRequest, FromRequestParts, Request};
use http::header::{ACCEPT_LANGUAGE, COOKIE, HOST, ORIGIN, REFERER};
use http::request::Parts;
use http::{HeaderMap, Method, Uri};
use jiff::Timestamp;
use kessai_core::{Entropy, Secret, id};
use kessai_engine::office::Needs;
use kessai_engine::vault::{hmac_sha256, same, sha256};
use kessai_engine::{Problem, Shop};
use kessai_web::office::Shell;
use kessai_web::{Locale, Notice, Tone, format};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Holds the session.
const SESSION: &str = "kessai_office";
/// Holds the number that the sign-in form's token is made for.
const BEFORE: &str = "kessai_office_door";
/// Holds the language the reader chose.
pub(super) const LOCALE: &str = "kessai_office_locale";
/// How long a session lasts, in seconds (8 hours).
pub(super) const LASTS_S: i64 = 8 * 3_600;
/// How many wrong tries within a minute lock the door.
const TRIES: usize = 5;
/// How long tries count, and how long the door stays locked, in microseconds (1 minute).
const MINUTE_US: i64 = 60_000_000;
/// The most a form may weigh, in bytes.
const FORM_MOST: usize = 64 * 1024;
/// How many fields of a form or query are read.
const FIELDS_MOST: usize = 64;

/// The one login that opens a shop's office. It is configured, compared in constant time and kept nowhere: tables of users with argon2
/// hashes, roles and second factors come with an issue of their own.
#[derive(Debug, Clone)]
pub struct Login {
    /// Whose office it is.
    pub shop: String,
    /// What is typed as address.
    pub user: String,
    /// What is typed as password.
    pub password: Secret,
}

/// What became of a try to sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tried {
    /// The door opens.
    Right,
    /// User or password is wrong.
    Wrong,
    /// Too many were; nothing was compared.
    Locked,
}

#[derive(Debug, Default)]
struct Gate {
    wrong_us: Vec<i64>,
    locked_until_us: i64,
}

/// An office that is open: its login, and what this process remembers of sessions.
pub(crate) struct Office {
    login: Login,
    /// Signs sessions and forms. Made at the start, so that a restart signs everybody out.
    key: [u8; 32],
    gate: Mutex<Gate>,
    /// Sessions that were signed out of before they ended by themselves, and when they would have.
    left: Mutex<BTreeMap<Box<str>, i64>>,
}

impl Office {
    pub(crate) fn new(login: Login, entropy: &dyn Entropy) -> Self {
        let mut key = [0; 32];
        entropy.fill(&mut key);
        Self {
            login,
            key,
            gate: Mutex::default(),
            left: Mutex::default(),
        }
    }

    pub(super) fn shop_id(&self) -> &str {
        &self.login.shop
    }

    /// Signs parts of which only the last may hold a line break.
    fn mac(&self, what: &str, parts: &[&str]) -> String {
        hex::encode(&hmac_sha256(&self.key, format!("{what}\n{}", parts.join("\n")).as_bytes())[..16])
    }

    fn is_mac(&self, given: &str, what: &str, parts: &[&str]) -> bool {
        same(given.as_bytes(), self.mac(what, parts).as_bytes())
    }

    /// Compares a login, unless too many were wrong.
    pub(super) fn try_login(&self, user: &str, password: &str, now: Timestamp) -> Tried {
        let now = now.as_microsecond();
        let mut gate = self.gate.lock().expect("no panic while held");
        if now < gate.locked_until_us {
            return Tried::Locked;
        }
        // Hashes have one length, so that not even that of the password shows.
        let user = same(&sha256(user.as_bytes()), &sha256(self.login.user.as_bytes()));
        let password = same(
            &sha256(password.as_bytes()),
            &sha256(self.login.password.expose().as_bytes()),
        );
        if user & password {
            gate.wrong_us.clear();
            return Tried::Right;
        }
        gate.wrong_us.retain(|at| *at > now - MINUTE_US);
        gate.wrong_us.push(now);
        if gate.wrong_us.len() >= TRIES {
            gate.wrong_us.clear();
            gate.locked_until_us = now + MINUTE_US;
            tracing::warn!(shop = %self.login.shop, "too many wrong tries to sign in to the office");
            return Tried::Locked;
        }
        Tried::Wrong
    }

    /// A new session as its cookie holds it.
    pub(crate) fn begin(&self, now: Timestamp, entropy: &dyn Entropy) -> String {
        let what = format!(
            "{}.{}.{}",
            hex::encode(&self.login.user),
            now.as_microsecond(),
            id::new_text(now, entropy)
        );
        let mac = self.mac("session", &[&what]);
        format!("{what}.{mac}")
    }

    /// The session in a cookie, when we made it and it has not ended.
    pub(crate) fn session(&self, cookie: &str, now: Timestamp) -> Option<Session> {
        let (what, mac) = cookie.rsplit_once('.')?;
        if !self.is_mac(mac, "session", &[what]) {
            return None;
        }
        let (begun, id) = what.split_once('.')?.1.split_once('.')?;
        let ends_us = begun.parse::<i64>().ok()?.saturating_add(LASTS_S * 1_000_000);
        let now = now.as_microsecond();
        let lives = now < ends_us && ends_us - LASTS_S * 1_000_000 <= now;
        let left = self.left.lock().expect("no panic while held").contains_key(id);
        (lives && !left).then(|| Session {
            id: id.into(),
            user: self.login.user.clone(),
            ends_us,
        })
    }

    /// Ends a session before its time.
    pub(super) fn end(&self, session: &Session, now: Timestamp) {
        let mut left = self.left.lock().expect("no panic while held");
        left.retain(|_, ends_us| *ends_us > now.as_microsecond());
        left.insert(session.id.clone(), session.ends_us);
    }

    /// The token of the sign-in form.
    pub(super) fn door_token(&self, before: &str) -> String {
        self.mac("door", &[before])
    }
}

/// Somebody signed in.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    id: Box<str>,
    pub(super) user: String,
    ends_us: i64,
}

/// Anybody at the door.
pub(crate) struct Visitor {
    pub(super) office: Arc<Office>,
    pub(super) shop: Arc<Shop>,
    pub(super) locale: Locale,
    pub(super) query: BTreeMap<String, String>,
    /// Path and query without the language and without what just happened.
    pub(super) here: String,
    pub(super) session: Option<Session>,
    /// Whether there is a session's cookie, good or not.
    pub(super) had_session: bool,
    pub(super) before: Option<String>,
}

impl FromRequestParts<App> for Visitor {
    type Rejection = Instead;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Instead> {
        let office = app.office.clone().ok_or_else(nowhere)?;
        let query = pairs(parts.uri.query().unwrap_or_default());
        let locale = Locale::negotiate(
            query.get("locale").map(String::as_str),
            cookie(&parts.headers, LOCALE).as_deref(),
            parts
                .headers
                .get(ACCEPT_LANGUAGE)
                .and_then(|value| value.to_str().ok()),
        );
        let here = here(&parts.uri);
        let shop = match app.engine.shop(office.shop_id()).await {
            Ok(Some(shop)) => shop,
            Ok(None) => return Err(nowhere().into()),
            Err(problem) => return Err(refused(&problem, &here, locale)),
        };
        let given = cookie(&parts.headers, SESSION);
        let session = given
            .as_deref()
            .and_then(|given| office.session(given, app.engine.now()));
        let before = cookie(&parts.headers, BEFORE).filter(|before| crate::app::is_id(before));
        Ok(Self {
            had_session: given.is_some(),
            office,
            shop,
            locale,
            query,
            here,
            session,
            before,
        })
    }
}

/// A clerk who is signed in.
pub(crate) struct Clerk {
    pub(super) office: Arc<Office>,
    pub(super) shop: Arc<Shop>,
    pub(super) locale: Locale,
    pub(super) query: BTreeMap<String, String>,
    pub(super) here: String,
    pub(super) session: Session,
}

impl FromRequestParts<App> for Clerk {
    type Rejection = Instead;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Instead> {
        let Visitor {
            office,
            shop,
            locale,
            query,
            here,
            session,
            ..
        } = Visitor::from_request_parts(parts, app).await?;
        match session {
            Some(session) => Ok(Self {
                office,
                shop,
                locale,
                query,
                here,
                session,
            }),
            None if parts.method == Method::GET => {
                Err(see_other(&format!("/shop/login?next={}", encoded(&here))).into())
            }
            None => Err(see_other("/shop/login").into()),
        }
    }
}

impl Clerk {
    /// The token that forms of this session carry.
    fn token(&self) -> String {
        self.office.mac("form", &[&self.session.id])
    }

    /// Signs what a confirmation shows, for this session only: `nonce.signature`.
    pub(super) fn sign(&self, nonce: &str, shown: &[&str]) -> String {
        format!("{nonce}.{}", self.signature(nonce, shown))
    }

    fn signature(&self, nonce: &str, shown: &[&str]) -> String {
        self.office
            .mac("once", &[&[&self.session.id, nonce], shown].concat())
    }

    /// The nonce of a confirmation, when it confirms just this.
    pub(super) fn signed<'a>(&self, attempt: &'a str, shown: &[&str]) -> Option<&'a str> {
        let (nonce, signature) = attempt.split_once('.')?;
        same(signature.as_bytes(), self.signature(nonce, shown).as_bytes()).then_some(nonce)
    }

    /// What surrounds every page.
    pub(super) fn shell(&self, app: &App, needs: &Needs) -> Shell {
        Shell {
            shop_name: self.shop.name.clone().into(),
            user: self.session.user.clone(),
            live: self.shop.live,
            now: app.engine.now(),
            here: self.here.clone(),
            csrf: self.token(),
            open_tasks: needs.count(),
            dead_deliveries: needs.deliveries.dead,
            open_discrepancies: needs.discrepancies.count,
        }
    }

    /// What surrounds a page, with fresh numbers.
    pub(super) async fn fresh_shell(&self, app: &App) -> Result<Shell, Instead> {
        let needs = app
            .engine
            .office_needs(&self.shop)
            .await
            .map_err(|problem| self.refused(&problem))?;
        Ok(self.shell(app, &needs))
    }

    /// A problem as a page.
    pub(super) fn refused(&self, problem: &Problem) -> Instead {
        refused(problem, &self.here, self.locale)
    }

    /// A path that tells what just happened. It is signed: nobody else can have the office say such a thing.
    pub(super) fn with_notice(&self, path: &str, key: &str, number: i64) -> String {
        let number = number.to_string();
        let mac = self.office.mac("notice", &[&self.session.id, key, &number]);
        let joint = if path.contains('?') { '&' } else { '?' };
        format!("{path}{joint}notice={key}.{number}.{mac}")
    }

    /// What just happened; its number is money when it tells of an act on a payment, whose currency this is.
    pub(super) fn notice(&self, currency: Option<&str>) -> Option<Notice> {
        let mut parts = self.query.get("notice")?.splitn(3, '.');
        let (key, number, mac) = (parts.next()?, parts.next()?, parts.next()?);
        if !self
            .office
            .is_mac(mac, "notice", &[&self.session.id, key, number])
        {
            return None;
        }
        let tone = match key {
            "notice-unknown" => Tone::Wait,
            "notice-refused" => Tone::Bad,
            _ => Tone::Good,
        };
        let number: i64 = number.parse().ok()?;
        let currency = currency.filter(|_| key != "notice-replayed");
        let amount = currency.map_or_else(
            || format::grouped(number),
            |currency| format::money(number, currency),
        );
        Some(Notice {
            tone,
            key: key.into(),
            amount,
        })
    }
}

/// A form that a clerk sent from one of our pages.
pub(crate) struct Posted {
    pub(super) clerk: Clerk,
    pub(super) fields: BTreeMap<String, String>,
    /// The page of the office it came from, when the browser tells.
    pub(super) from: Option<String>,
}

impl FromRequest<App> for Posted {
    type Rejection = Instead;

    async fn from_request(request: Request, app: &App) -> Result<Self, Instead> {
        let (mut parts, body) = request.into_parts();
        let clerk = Clerk::from_request_parts(&mut parts, app).await?;
        let fields = form(&parts, body, app)
            .await
            .map_err(|problem| clerk.refused(&problem))?;
        let token = fields.get("csrf").map(String::as_str).unwrap_or_default();
        if !ours(&parts, app) || !clerk.office.is_mac(token, "form", &[&clerk.session.id]) {
            tracing::warn!(
                path = parts.uri.path(),
                "a form was refused: not from our own page"
            );
            return Err(forged(clerk.locale));
        }
        let from = parts
            .headers
            .get(REFERER)
            .and_then(|url| url.to_str().ok())
            .and_then(|url| {
                let path = here(&url.parse::<Uri>().ok()?);
                local(&path).then_some(path)
            });
        Ok(Self { clerk, fields, from })
    }
}

impl Posted {
    /// A field without control characters, at most `most` characters long.
    pub(super) fn text(&self, name: &str, most: usize) -> String {
        clean(
            self.fields.get(name).map(String::as_str).unwrap_or_default(),
            most,
        )
    }
}

/// The sign-in form.
pub(crate) struct Knock {
    pub(super) visitor: Visitor,
    pub(super) fields: BTreeMap<String, String>,
    /// Whether the form is one we gave to this browser.
    pub(super) genuine: bool,
}

impl FromRequest<App> for Knock {
    type Rejection = Instead;

    async fn from_request(request: Request, app: &App) -> Result<Self, Instead> {
        let (mut parts, body) = request.into_parts();
        let visitor = Visitor::from_request_parts(&mut parts, app).await?;
        let fields = form(&parts, body, app).await;
        let fields = fields.map_err(|problem| refused(&problem, &visitor.here, visitor.locale))?;
        let token = fields.get("csrf").map(String::as_str).unwrap_or_default();
        let known = |before: &String| same(token.as_bytes(), visitor.office.door_token(before).as_bytes());
        let genuine = ours(&parts, app) && visitor.before.as_ref().is_some_and(known);
        Ok(Self {
            visitor,
            fields,
            genuine,
        })
    }
}

async fn form(parts: &Parts, body: axum::body::Body, app: &App) -> Result<BTreeMap<String, String>, Problem> {
    let raw = body::read(&parts.headers, body, FORM_MOST, app.limits.body_read_ms).await?;
    let text = std::str::from_utf8(&raw).map_err(|_| Problem::new("bad_request"))?;
    Ok(pairs(text))
}

/// Whether the browser says that the form came from our own pages, as far as it says anything.
fn ours(parts: &Parts, app: &App) -> bool {
    let text = |name| parts.headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if text(http::HeaderName::from_static("sec-fetch-site"))
        .is_some_and(|site| !matches!(site, "same-origin" | "none"))
    {
        return false;
    }
    let Some(origin) = text(ORIGIN) else { return true };
    let public =
        url::Url::parse(&app.engine.settings().public_url).map(|url| url.origin().ascii_serialization());
    let host = text(HOST).or_else(|| parts.uri.authority().map(http::uri::Authority::as_str));
    public.is_ok_and(|public| public == origin)
        || origin.split_once("://").is_some_and(|(_, at)| Some(at) == host)
}

/// A cookie that our own scripts cannot read and other sites cannot send along with a form.
pub(super) fn set_cookie(app: &App, name: &str, value: &str, lasts_s: i64) -> String {
    let secure = if app.engine.settings().public_url.starts_with("https:") {
        "; Secure"
    } else {
        ""
    };
    format!("{name}={value}; Path=/shop; HttpOnly; SameSite=Lax; Max-Age={lasts_s}{secure}")
}

pub(super) fn session_cookie(app: &App, value: &str, lasts_s: i64) -> String {
    set_cookie(app, SESSION, value, lasts_s)
}

pub(super) fn door_cookie(app: &App, value: &str) -> String {
    set_cookie(app, BEFORE, value, LASTS_S)
}

pub(crate) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let all = headers
        .get_all(COOKIE)
        .into_iter()
        .filter_map(|value| value.to_str().ok());
    let mut each = all
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    each.find(|(known, _)| *known == name)
        .map(|(_, value)| value.to_owned())
}

/// `a=1&b=2` as texts; what is not UTF-8 is replaced, the last of a name counts.
pub(crate) fn pairs(text: &str) -> BTreeMap<String, String> {
    let decoded = |text: &str| {
        percent_decode_str(&text.replace('+', " "))
            .decode_utf8_lossy()
            .into_owned()
    };
    let pairs = text.split('&').filter(|pair| !pair.is_empty()).take(FIELDS_MOST);
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

/// For a value in a query.
pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Path and query without the language and without what just happened.
pub(crate) fn here(uri: &Uri) -> String {
    let kept = |pair: &&str| !pair.is_empty() && !pair.starts_with("locale=") && !pair.starts_with("notice=");
    let query: Vec<&str> = uri.query().unwrap_or_default().split('&').filter(kept).collect();
    if query.is_empty() {
        uri.path().to_owned()
    } else {
        format!("{}?{}", uri.path(), query.join("&"))
    }
}

/// Whether a path leads into the office and nowhere else.
pub(crate) fn local(path: &str) -> bool {
    let inside = path == "/shop" || path.starts_with("/shop/") || path.starts_with("/shop?");
    inside && path.len() <= 2_000 && path.bytes().all(|b| (b'!'..=b'~').contains(&b) && b != b'\\')
}

/// At most `most` characters, none of which steers anything.
pub(crate) fn clean(text: &str, most: usize) -> String {
    let plain: String = text.chars().filter(|c| !c.is_control()).collect();
    let short: String = plain.trim().chars().take(most).collect();
    short.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Dice;
    impl Entropy for Dice {
        fn fill(&self, into: &mut [u8]) {
            into.fill(7);
        }
    }

    fn office() -> Office {
        Office::new(
            Login {
                shop: "s".into(),
                user: "clerk".into(),
                password: Secret::new("right"),
            },
            &Dice,
        )
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn five_wrong_tries_in_a_minute_lock_the_door_for_a_minute() {
        let office = office();
        for _ in 0..4 {
            assert_eq!(office.try_login("clerk", "wrong", at(0)), Tried::Wrong);
        }
        assert_eq!(office.try_login("nobody", "right", at(59)), Tried::Locked);
        assert_eq!(office.try_login("clerk", "right", at(118)), Tried::Locked);
        assert_eq!(office.try_login("clerk", "right", at(119)), Tried::Right);
        for second in 0..20 {
            assert_eq!(
                office.try_login("clerk", "wrong", at(200 + second * 15)),
                Tried::Wrong,
                "slow tries do not"
            );
        }
    }

    #[test]
    fn a_session_lives_eight_hours_until_it_is_left_and_cannot_be_made_up() {
        let office = office();
        let cookie = office.begin(at(1_000), &Dice);
        let session = office.session(&cookie, at(1_000 + LASTS_S - 1)).unwrap();
        assert_eq!(session.user, "clerk");
        assert!(office.session(&cookie, at(1_000 + LASTS_S)).is_none());
        assert!(office.session(&cookie, at(999)).is_none());
        assert!(
            office
                .session(&cookie.replace(".1000", ".2000"), at(2_000))
                .is_none()
        );
        office.end(&session, at(1_001));
        assert!(office.session(&cookie, at(1_002)).is_none());
    }

    #[test]
    fn only_paths_of_the_office_are_gone_on_to() {
        for good in ["/shop", "/shop/payments/abc?x=1", "/shop?locale=en"] {
            assert!(local(good), "{good}");
        }
        for bad in [
            "",
            "/",
            "/shopping",
            "//evil.example/shop",
            "https://evil.example/shop",
            "/shop/\\evil",
            "/shop/\r\nx: y",
        ] {
            assert!(!local(bad), "{bad}");
        }
    }

    #[test]
    fn queries_are_read_leniently() {
        let read = pairs("q=a+b%20c&&state=&x&q=%E6%B3%A8");
        assert_eq!(read["q"], "注");
        assert_eq!((read["state"].as_str(), read["x"].as_str()), ("", ""));
    }
}
