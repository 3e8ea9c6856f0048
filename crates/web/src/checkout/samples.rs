//! Checkouts to look at.
use super::{Checkout, Entered, FieldError, Line, Method, Terms, TokenEndpoint};
use crate::errors::ErrorBanner;
use crate::parts::Frame;
use crate::{asset_url, sample_time};

fn method(slug: &str) -> Method {
    Method {
        slug: slug.into(),
        ..Method::default()
    }
}

fn methods() -> Vec<Method> {
    let brands = ["visa", "master", "jcb", "american_express", "diners_club"];
    vec![
        Method {
            brands: brands.map(String::from).to_vec(),
            ..method("credit_card")
        },
        Method {
            fee: 190,
            days: Some(3),
            ..method("konbini")
        },
        method("paypay"),
        Method {
            additional_fields: vec!["name".into(), "email".into()],
            ..method("rakutenpay")
        },
        Method {
            days: Some(14),
            ..method("bank_transfer")
        },
        Method {
            days: Some(3),
            ..method("pay_easy")
        },
    ]
}

fn checkout() -> Checkout {
    let id = "63r9bjkqklasnofxttq7z9abc";
    Checkout {
        frame: Frame::sample(&format!("/sessions/{id}")),
        session_id: id.into(),
        amount: 3980,
        currency: "JPY".into(),
        lines: vec![
            Line {
                description: "深蒸し煎茶 みずいろ 100g".into(),
                quantity: 1,
                amount: Some(1980),
                image: Some(asset_url("tea/sencha.svg").into()),
            },
            Line {
                description: "浅炒りほうじ茶 ティーバッグ 20個入り".into(),
                quantity: 2,
                amount: Some(2000),
                image: Some(asset_url("tea/hojicha.svg").into()),
            },
        ],
        expires_at: Some(sample_time("2026-11-21T05:34:00Z")),
        methods: methods(),
        chosen: None,
        entered: Entered::default(),
        error: None,
        field_errors: Vec::new(),
        terms: Some(Terms {
            quantity: Some("上の「ご注文内容」のとおりです。".into()),
            price: Some("商品代金 ¥3,980(税込)。送料は含まれています。".into()),
            payment: Some("カードは注文時、コンビニ払いは3日以内の前払いです。".into()),
            delivery: Some("お支払いの確認から2営業日以内に発送します。".into()),
            application_period: None,
            withdrawal: Some(
                "発送前なら取り消せます。お届けから8日以内の未開封品は返品を承ります(送料はお客様負担)。"
                    .into(),
            ),
        }),
        csrf: "csrf-sample".into(),
        attempt: "att-sample".into(),
        tokens: Some(TokenEndpoint {
            url: "https://komoju.com/api/v1/tokens".into(),
            publishable_key: "pk_test_sample".into(),
        }),
        cancel_url: Some("https://shop.example/cart".into()),
        redirect_origins: Vec::new(),
    }
}

impl Checkout {
    pub(super) fn sample_data() -> Vec<(&'static str, Self)> {
        let base = checkout();
        let konbini = Self {
            chosen: Some("konbini".into()),
            entered: Entered {
                store: "lawson".into(),
                family_name: "山田".into(),
                given_name: "花子".into(),
                email: "hanako@example.jp".into(),
                ..Entered::default()
            },
            ..base.clone()
        };
        let wallet = Self {
            chosen: Some("paypay".into()),
            ..base.clone()
        };
        let mut declined = Self {
            error: Some(ErrorBanner::new("card_declined", "bk3lh5xnsj25e22mn7zo2mgqh")),
            ..base.clone()
        };
        declined.frame.live = false;
        let wrong_fields = Self {
            chosen: Some("bank_transfer".into()),
            error: Some(ErrorBanner::new("invalid_parameter", "63r9bjkqklasnofxttq7z9abc")),
            field_errors: vec![
                FieldError {
                    field: "email".into(),
                    code: "email".into(),
                },
                FieldError {
                    field: "family_name_kana".into(),
                    code: "kana".into(),
                },
            ],
            entered: Entered {
                email: "hanako@".into(),
                family_name_kana: "山田".into(),
                ..Entered::default()
            },
            terms: None,
            ..base.clone()
        };
        let dollars = Self {
            amount: 2599,
            currency: "USD".into(),
            lines: Vec::new(),
            methods: vec![
                Method {
                    charge: Some((4102, "JPY".into())),
                    fee: 190,
                    ..method("konbini")
                },
                method("credit_card"),
                method("alipay"),
                method("new_wallet_2027"),
                method("web_money"),
            ],
            terms: None,
            expires_at: None,
            cancel_url: None,
            tokens: None,
            ..base.clone()
        };
        vec![
            ("card", base),
            ("konbini", konbini),
            ("wallet", wallet),
            ("declined", declined),
            ("wrong-fields", wrong_fields),
            ("dollars", dollars),
        ]
    }
}
