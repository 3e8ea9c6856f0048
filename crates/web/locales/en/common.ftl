skip = Skip to content
switch-language = 日本語
ribbon-test = This is a test environment. No real money moves.
ribbon-test-office = Test environment
person = { $name }
list-join = {" "}/{" "}
quantity = Qty { $n }
copy = Copy
copied = Copied
copy-what = Copy { $what }
print = Print
refresh = Refresh this page

left-some = { $span } left
left-none = The deadline has passed
ago-some = { $span } ago
ago-now = just now
span-days = { $n ->
    [one] { $n } day
   *[other] { $n } days
}
span-hours = { $n ->
    [one] { $n } hour
   *[other] { $n } hours
}
span-minutes = { $n ->
    [one] { $n } minute
   *[other] { $n } minutes
}
span-join = {" "}

state-pending = In progress
state-authorized = Authorized
state-awaiting_payment = Awaiting payment
state-confirming = Capture being confirmed
state-captured = Captured
state-partly_refunded = Partly refunded
state-refunded = Refunded
state-cancelled = Cancelled
state-expired = Expired
state-failed = Failed
state-order_unconfirmed = Unconfirmed
state-awaiting_capture = Awaiting capture
state-shipped = Shipped
state-discrepancy = Discrepancy
state-shopper-paid = Paid
state-shopper-accepted = Payment accepted
state-shopper-confirming = Being confirmed

delivery-queued = Queued
delivery-retrying = Retrying
delivery-delivered = Delivered
delivery-dead = Stopped

method-credit_card = Credit card
method-credit_card_korea = Credit card (Korea)
method-konbini = Convenience store
method-bank_transfer = Bank transfer
method-pay_easy = Pay-easy
method-paypay = PayPay
method-linepay = LINE Pay
method-merpay = Merpay
method-aupay = au PAY
method-au = au Carrier Billing
method-docomo = d Payment
method-softbank = SoftBank Carrier Billing
method-rakutenpay = Rakuten Pay
method-alipay = Alipay
method-wechatpay = WeChat Pay
method-paidy = Paidy (pay later)
method-web_money = WebMoney
method-net_cash = NET CASH
method-bit_cash = BitCash
method-nanaco = nanaco Gift
method-amazon_pay = Amazon Pay
method-atone = atone (pay next month)
method-levica = LEVICA
store-seven-eleven = 7-Eleven
store-lawson = Lawson
store-family-mart = FamilyMart
store-ministop = Ministop
store-daily-yamazaki = Daily Yamazaki
store-seicomart = Seicomart
