//! Signing in.
use crate::Locale;
use crate::parts::{Field, Html, with_query};

/// The sign-in page. Posts `csrf`, `email`, `password` and `next` to `/shop/login`.
#[derive(Debug, Clone)]
pub struct Login {
    /// Whether real money moves.
    pub live: bool,
    /// Path and query of this page.
    pub here: String,
    /// Posted back as `csrf`.
    pub csrf: String,
    /// The address typed before.
    pub email: String,
    /// Where to go afterwards.
    pub next: String,
    /// `login-wrong`, `login-locked` or `login-ended`: a text key that says why the reader is here again.
    pub problem: Option<String>,
    /// Address and password to show on the page, in the demo only.
    pub hint: Option<(String, String)>,
}

impl Login {
    fn in_locale(&self, locale: Locale) -> String {
        with_query(&self.here, "locale", locale.tag())
    }

    fn email_field(&self, l: Locale) -> Html {
        Field::new("email", "email", l.t("login-email"))
            .auto("username")
            .value(&self.email)
            .html()
    }

    fn password_field(&self, l: Locale) -> Html {
        Field::new("password", "password", l.t("login-password"))
            .kind("password")
            .auto("current-password")
            .html()
    }

    fn sample_data() -> Vec<(&'static str, Self)> {
        let page = Self {
            live: false,
            here: "/shop/login".into(),
            csrf: "csrf-sample".into(),
            email: String::new(),
            next: "/shop".into(),
            problem: None,
            hint: Some(("clerk@mizuiro.example".into(), "mizuiro-demo".into())),
        };
        let wrong = Self {
            live: true,
            email: "clerk@mizuiro.example".into(),
            problem: Some("login-wrong".into()),
            hint: None,
            ..page.clone()
        };
        let locked = Self {
            problem: Some("login-locked".into()),
            ..wrong.clone()
        };
        let ended = Self {
            problem: Some("login-ended".into()),
            ..wrong.clone()
        };
        vec![
            ("demo", page),
            ("wrong", wrong),
            ("locked", locked),
            ("ended", ended),
        ]
    }
}

crate::page!(Login, LoginView, "office/login.html");
