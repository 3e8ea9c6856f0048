//! What travels, for the documentation: the engine writes the objects and the handlers read the fields; these structs only describe them.
#![allow(
    dead_code,
    missing_docs,
    reason = "the fields are the API's; nothing is ever made of these structs"
)]
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Every error.
#[derive(ToSchema)]
#[schema(example = json!({"error": {"code": "missing_parameter", "message": "A required parameter (amount) is missing", "param": "amount", "details": {}}}))]
pub(crate) struct Error {
    /// `error` in answers to a failed pay, absent elsewhere.
    status: Option<String>,
    error: ErrorInner,
}

#[derive(ToSchema)]
pub(crate) struct ErrorInner {
    /// Never changes its meaning.
    code: String,
    /// English.
    message: String,
    /// The parameter that is to blame.
    param: Option<String>,
    details: BTreeMap<String, Value>,
}

/// How the shopper pays: `type` and what that type asks for, or a token's id.
#[derive(ToSchema)]
#[schema(example = json!({"type": "konbini", "store": "lawson", "email": "taro@example.com"}))]
pub(crate) struct PaymentDetails {
    /// As `credit_card`, `konbini`, `paypay`.
    r#type: String,
    /// Cards.
    number: Option<String>,
    month: Option<String>,
    year: Option<String>,
    verification_value: Option<String>,
    name: Option<String>,
    /// Konbini: `seven-eleven`, `lawson`, `family-mart`, `ministop`, `daily-yamazaki` or `seicomart`.
    store: Option<String>,
    email: Option<String>,
    phone: Option<String>,
    /// Bank transfer and Pay-easy.
    family_name_kana: Option<String>,
    given_name_kana: Option<String>,
    /// Prepaid methods.
    prepaid_number: Option<String>,
    expiry_days: Option<i64>,
}

#[derive(ToSchema)]
#[schema(example = json!({"amount": 1200, "currency": "JPY", "return_url": "https://shop.example/back", "payment_data": {"external_order_num": "ORDER-1"}}))]
pub(crate) struct NewSession {
    /// `payment` (default), `customer` or `customer_payment`.
    mode: Option<String>,
    /// Taxes included.
    amount: i64,
    currency: String,
    /// `session_id` is added to its query.
    return_url: Option<String>,
    /// `ja` (default), `en` or `ko`.
    default_locale: Option<String>,
    /// All of the shop's when absent.
    payment_types: Option<Vec<String>>,
    email: Option<String>,
    /// 1 to 86400, the default.
    expires_in_seconds: Option<i64>,
    external_customer_id: Option<String>,
    /// At most 100, for display.
    line_items: Option<Vec<LineItem>>,
    metadata: Option<BTreeMap<String, String>>,
    payment_data: Option<PaymentData>,
    /// Customer modes: the customer to update.
    customer_id: Option<String>,
}

#[derive(ToSchema)]
pub(crate) struct LineItem {
    amount: Option<i64>,
    description: Option<String>,
    quantity: Option<i64>,
    image: Option<String>,
    external_product_num: Option<String>,
    /// Counted in stock under this name: held when a payment begins, sold when it is captured, free again when it comes to nothing.
    /// 1 to 64 letters, digits, `.`, `_`, `~` and `-`.
    sku: Option<String>,
}

#[derive(ToSchema)]
pub(crate) struct PaymentData {
    /// `auto` (default) or `manual`.
    capture: Option<String>,
    /// May stand here instead.
    amount: Option<i64>,
    currency: Option<String>,
    /// Unique in the shop.
    external_order_num: Option<String>,
    name: Option<String>,
    name_kana: Option<String>,
    mcc: Option<String>,
    intent: Option<String>,
    statement_descriptor: Option<BTreeMap<String, String>>,
    billing_address: Option<Address>,
    shipping_address: Option<Address>,
}

#[derive(ToSchema)]
pub(crate) struct Address {
    name: Option<String>,
    street_address1: Option<String>,
    street_address2: Option<String>,
    city: Option<String>,
    state: Option<String>,
    zipcode: Option<String>,
    country: Option<String>,
}

#[derive(ToSchema)]
pub(crate) struct Session {
    id: String,
    /// `session`
    resource: String,
    mode: String,
    amount: i64,
    currency: String,
    /// Send the shopper here.
    session_url: String,
    return_url: Option<String>,
    default_locale: String,
    payment_methods: Vec<SessionMethod>,
    created_at: String,
    cancelled_at: Option<String>,
    completed_at: Option<String>,
    /// `pending`, `completed` or `cancelled`.
    status: String,
    expired: bool,
    merchant: BTreeMap<String, String>,
    metadata: BTreeMap<String, String>,
    /// The latest payment made in it.
    payment: Option<Payment>,
    payment_data: BTreeMap<String, Value>,
    customer_id: Option<String>,
    line_items: Option<Vec<LineItem>>,
    email: Option<String>,
}

#[derive(ToSchema)]
pub(crate) struct SessionMethod {
    r#type: String,
    /// Whether the shopper leaves for another site.
    offsite: Option<bool>,
    /// What the shopper must tell: of `name`, `email`, `phone`.
    additional_fields: Option<Vec<String>>,
    /// Cards: a list of brands; konbini: an object by chain.
    brands: Option<Value>,
    /// What the shopper pays on top.
    customer_fee: Option<i64>,
    amount: Option<i64>,
    currency: Option<String>,
    hashed_gateway: String,
}

#[derive(ToSchema)]
pub(crate) struct PaySession {
    /// Details, or a token's id.
    payment_details: PaymentDetails,
    /// `auto` or `manual`; the session's when absent.
    capture: Option<String>,
}

#[derive(ToSchema)]
pub(crate) struct PayResult {
    /// `pending`, `completed` or `error`.
    status: String,
    /// Where the shopper goes next.
    redirect_url: Option<String>,
    payment: Option<Payment>,
    customer: Option<BTreeMap<String, Value>>,
    app_url: Option<String>,
}

#[derive(ToSchema)]
pub(crate) struct PaymentWebhook {
    url: String,
    /// Signs the deliveries.
    secret_token: String,
    /// All when absent.
    events: Option<Vec<String>>,
}

#[derive(ToSchema)]
#[schema(example = json!({"amount": 1000, "currency": "JPY", "tax": 0, "payment_details": {"type": "credit_card", "number": "4111111111111111", "month": "12", "year": "2030", "verification_value": "123"}}))]
pub(crate) struct NewPayment {
    /// Before tax.
    amount: i64,
    currency: String,
    /// Details, or a token's id. This or `customer`.
    payment_details: Option<PaymentDetails>,
    /// A customer whose stored card is charged.
    customer: Option<String>,
    /// Default true; false authorizes only.
    capture: Option<bool>,
    /// `auto` (default) or an integer.
    tax: Option<String>,
    /// Unique in the shop, at most 255 characters.
    external_order_num: Option<String>,
    return_url: Option<String>,
    cancel_url: Option<String>,
    locale: Option<String>,
    description: Option<String>,
    metadata: Option<BTreeMap<String, String>>,
    mcc: Option<String>,
    statement_descriptor: Option<BTreeMap<String, String>>,
    /// What the shop knows against fraud; passed to the provider.
    fraud_details: Option<Value>,
    /// Webhook endpoints of this payment alone, besides the shop's; at most five.
    webhooks: Option<Vec<PaymentWebhook>>,
}

#[derive(ToSchema)]
pub(crate) struct Payment {
    id: String,
    /// `payment`
    resource: String,
    /// `pending`, `authorized`, `captured`, `cancelled`, `expired`, `refunded` or `failed`.
    status: String,
    amount: i64,
    tax: i64,
    customer: Option<String>,
    payment_deadline: Option<String>,
    /// `type` and what may be shown: brand and last digits, slip numbers, where to go.
    payment_details: BTreeMap<String, Value>,
    payment_method_fee: i64,
    /// Amount, tax and fee.
    total: i64,
    currency: String,
    description: Option<String>,
    captured_at: Option<String>,
    external_order_num: Option<String>,
    metadata: BTreeMap<String, String>,
    created_at: String,
    amount_refunded: i64,
    locale: String,
    session: Option<String>,
    customer_family_name: Option<String>,
    customer_given_name: Option<String>,
    mcc: Option<String>,
    statement_descriptor: Option<Value>,
    refunds: Vec<Refund>,
    refund_requests: Vec<RefundRequest>,
    /// Only while the provider has not answered: `authorize_pending`, `capture_pending`, `cancel_pending` or `refund_pending`.
    operation: Option<String>,
}

#[derive(ToSchema)]
pub(crate) struct Refund {
    id: String,
    resource: String,
    amount: i64,
    currency: String,
    payment: String,
    description: Option<String>,
    created_at: String,
    chargeback: bool,
}

#[derive(ToSchema)]
pub(crate) struct RefundRequest {
    id: String,
    payment: String,
    amount: i64,
    /// `pending`, `rejected` or `completed`.
    status: String,
    customer_name: String,
    bank_name: String,
    bank_code: Option<String>,
    branch_name: Option<String>,
    branch_number: String,
    account_type: String,
    /// The last digits only.
    account_number: String,
    description: Option<String>,
    created_at: String,
}

#[derive(ToSchema)]
pub(crate) struct PaymentNotes {
    description: Option<String>,
    metadata: Option<BTreeMap<String, String>>,
}

#[derive(ToSchema)]
pub(crate) struct Capture {
    /// Before tax; everything when absent.
    amount: Option<i64>,
    tax: Option<i64>,
}

#[derive(ToSchema)]
pub(crate) struct NewRefund {
    /// Tax included; everything that is left when absent.
    amount: Option<i64>,
    description: Option<String>,
}

#[derive(ToSchema)]
#[schema(example = json!({"amount": 1200, "customer_name": "ﾔﾏﾀﾞ ﾀﾛｳ", "bank_name": "みずほ銀行", "bank_code": "0001", "branch_number": "001", "account_type": "normal", "account_number": "1234567"}))]
pub(crate) struct NewRefundRequest {
    amount: Option<i64>,
    /// Half-width katakana.
    customer_name: String,
    bank_name: String,
    /// Four digits.
    bank_code: Option<String>,
    branch_name: Option<String>,
    /// Three digits.
    branch_number: String,
    /// `normal`, `checking` or `savings`.
    account_type: String,
    /// Seven digits.
    account_number: String,
    include_payment_method_fee: Option<bool>,
    description: Option<String>,
}

#[derive(ToSchema)]
pub(crate) struct PaymentList {
    resource: String,
    total: i64,
    page: i64,
    per_page: i64,
    /// 0 when there is none.
    last_page: i64,
    data: Vec<Payment>,
}

#[derive(ToSchema)]
pub(crate) struct PaymentMethod {
    name_en: String,
    name_ja: String,
    name_ko: String,
    type_slug: String,
    currency: String,
    /// Card brands or konbini chains.
    subtypes: Option<Vec<String>>,
    secure_token_supported: Option<bool>,
}

#[derive(ToSchema)]
pub(crate) struct NewToken {
    payment_details: PaymentDetails,
    currency: Option<String>,
}

#[derive(ToSchema)]
pub(crate) struct Token {
    /// `tok_…`
    id: String,
    resource: String,
    created_at: String,
    payment_details: BTreeMap<String, Value>,
}

#[derive(ToSchema)]
pub(crate) struct NewSecureToken {
    amount: i64,
    currency: String,
    return_url: String,
    /// A card, or a token's id. This or `customer`.
    payment_details: Option<PaymentDetails>,
    customer: Option<String>,
    /// Added to the amount.
    tax: Option<i64>,
}

#[derive(ToSchema)]
pub(crate) struct SecureToken {
    id: String,
    /// The same as `id`.
    secure_token: String,
    /// `NEEDS_VERIFY`, `OK`, `SKIPPED` or `ERRORED`.
    verification_status: String,
    /// Send the shopper here.
    authentication_url: Option<String>,
    created_at: String,
}

#[derive(ToSchema)]
pub(crate) struct CustomerFields {
    email: Option<String>,
    /// A card, or a token's id.
    payment_details: Option<PaymentDetails>,
    currency: Option<String>,
    metadata: Option<BTreeMap<String, String>>,
}

#[derive(ToSchema)]
pub(crate) struct Customer {
    id: String,
    resource: String,
    email: Option<String>,
    source: Option<CardSource>,
    metadata: BTreeMap<String, String>,
    created_at: String,
}

#[derive(ToSchema)]
pub(crate) struct CardSource {
    r#type: String,
    brand: String,
    last_four_digits: String,
    month: i64,
    year: i64,
}

#[derive(ToSchema)]
pub(crate) struct CustomerList {
    resource: String,
    total: i64,
    page: i64,
    per_page: i64,
    last_page: i64,
    data: Vec<Customer>,
}

/// The same JSON in the API and in webhooks.
#[derive(ToSchema)]
pub(crate) struct Event {
    id: String,
    /// As `payment.captured`.
    r#type: String,
    resource: String,
    /// The whole object as it was then.
    data: BTreeMap<String, Value>,
    created_at: String,
    /// Why, for `payment.failed`.
    reason: Option<String>,
}

#[derive(ToSchema)]
pub(crate) struct EventList {
    resource: String,
    total: i64,
    page: i64,
    per_page: i64,
    last_page: i64,
    data: Vec<Event>,
}

#[derive(ToSchema)]
pub(crate) struct Timeline {
    resource: String,
    payment: String,
    /// What it has of the shop's stock; null when nothing of it is counted.
    stock: Option<Holding>,
    /// Oldest first.
    data: Vec<TimelineEntry>,
}

#[derive(ToSchema)]
pub(crate) struct Holding {
    /// `held`, `sold` or `released`.
    hold: String,
    goods: Vec<Goods>,
}

#[derive(ToSchema)]
pub(crate) struct Goods {
    sku: String,
    pieces: i64,
}

#[derive(ToSchema)]
pub(crate) struct TimelineEntry {
    at: String,
    /// `attempt`, `call`, `event`, `delivery`, `notification`, `discrepancy` or `act`.
    kind: String,
    who: String,
    what: String,
    /// Masked.
    details: BTreeMap<String, Value>,
}

#[derive(ToSchema)]
pub(crate) struct NewEndpoint {
    url: String,
    /// Signs deliveries; made up when absent.
    secret_token: Option<String>,
    /// Event types; all when absent or empty.
    events: Option<Vec<String>>,
    active: Option<bool>,
}

#[derive(ToSchema)]
pub(crate) struct EndpointFields {
    url: Option<String>,
    secret_token: Option<String>,
    events: Option<Vec<String>>,
    active: Option<bool>,
}

#[derive(ToSchema)]
pub(crate) struct Endpoint {
    id: String,
    resource: String,
    url: String,
    active: bool,
    events: Vec<String>,
    created_at: String,
    /// Only in the answer that made it.
    secret_token: Option<String>,
}

#[derive(ToSchema)]
pub(crate) struct EndpointList {
    resource: String,
    total: i64,
    data: Vec<Endpoint>,
}

#[derive(ToSchema)]
pub(crate) struct Delivery {
    id: String,
    resource: String,
    event_id: String,
    endpoint_id: String,
    /// `pending`, `delivered`, `dead` or `cancelled`.
    status: String,
    tries: i64,
    last_status: Option<i64>,
    next_at: Option<String>,
    created_at: String,
    updated_at: String,
    replays: i64,
    /// The last tries.
    log: Vec<Value>,
}

#[derive(ToSchema)]
pub(crate) struct DeliveryList {
    resource: String,
    data: Vec<Delivery>,
    /// Send it as `before` for the next page.
    next: Option<String>,
}

#[derive(ToSchema)]
pub(crate) struct Span {
    start_time: String,
    /// Now when absent.
    end_time: Option<String>,
}

#[derive(ToSchema)]
pub(crate) struct Replayed {
    /// How many are queued.
    replayed: i64,
}

#[derive(ToSchema)]
pub(crate) struct CapabilityLine {
    provider: String,
    method: String,
    /// Whether this provider serves the method in this shop.
    offered: bool,
    /// `card`, `slip`, `offsite` or `prepaid`.
    kind: String,
    name_en: String,
    name_ja: String,
    name_ko: String,
    currencies: Vec<String>,
    minimum: i64,
    maximum: i64,
    subtypes: Vec<String>,
    asks: Vec<String>,
    flows: BTreeMap<String, bool>,
    operations: BTreeMap<String, bool>,
    deadline: BTreeMap<String, i64>,
    session_fee: i64,
}

#[derive(ToSchema)]
pub(crate) struct CapabilityList {
    resource: String,
    total: i64,
    data: Vec<CapabilityLine>,
}

#[derive(ToSchema)]
pub(crate) struct Discrepancy {
    id: String,
    resource: String,
    /// As `amount_mismatch` or `late_capture`.
    kind: String,
    status: String,
    payment: String,
    details: BTreeMap<String, Value>,
    created_at: String,
}

#[derive(ToSchema)]
pub(crate) struct Stock {
    /// `stock`.
    resource: String,
    sku: String,
    /// To be sold, in pieces.
    free: i64,
    /// For payments under way.
    held: i64,
    /// Paid for.
    sold: i64,
}

#[derive(ToSchema)]
pub(crate) struct StockList {
    /// `list`.
    resource: String,
    data: Vec<Stock>,
    /// The `after` of the next page.
    next: Option<String>,
}

#[derive(ToSchema)]
pub(crate) struct StockChangeWish {
    /// Pieces put into stock, or taken away when negative; free ones only. Not 0, at most 1,000,000 either way.
    change: i64,
}

#[derive(ToSchema)]
pub(crate) struct StockChange {
    /// `stock_change`.
    resource: String,
    sku: String,
    change: i64,
}

#[derive(ToSchema)]
pub(crate) struct DiscrepancyList {
    resource: String,
    total: i64,
    data: Vec<Discrepancy>,
}
