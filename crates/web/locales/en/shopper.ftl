foot-shop = Sold by { $shop }
foot-kessai = Payment handled by Kessai
return-to = Return to { $shop }
payment-number = Payment number { $number }
session-number = Reference number { $number }
order-number = Order number { $number }
support-number = Reference number { $number }

checkout-title = Pay { $shop }
checkout-amount = Amount to pay
checkout-expires = Valid until { $time } ({ $left })
checkout-lines = { $n ->
    [one] Your order ({ $n } item)
   *[other] Your order ({ $n } items)
}
checkout-how = How would you like to pay?
checkout-fee = + { $amount } fee
checkout-goods = Order amount
checkout-fee-label = Payment fee
checkout-total = Total to pay
checkout-converted = You pay { $amount } (converted to yen).
checkout-cancel = Return to { $shop } without paying
terms-title = Final check of your order
terms-quantity = Quantity
terms-price = Price
terms-payment = When and how to pay
terms-delivery = Delivery
terms-period = Offer period
terms-withdrawal = Cancellation and returns

pay-now = Pay { $amount }
pay-konbini = Get the { $amount } payment slip
pay-bank = Show where to transfer { $amount }
pay-easy = Get the numbers to pay { $amount }
pay-offsite = Continue to { $name }
pay-busy = Sending…

method-terms-card = All common cards
method-terms-konbini = { $n ->
    [one] Pay at a store till within { $n } day
   *[other] Pay at a store till within { $n } days
}
method-terms-bank = { $n ->
    [one] Transfer to our account within { $n } day
   *[other] Transfer to our account within { $n } days
}
method-terms-pay-easy = { $n ->
    [one] Pay by ATM or online bank within { $n } day
   *[other] Pay by ATM or online bank within { $n } days
}
method-terms-prepaid = Pay with the number on the card
method-terms-offsite = Pay on the { $name } screen
offsite-note = The button takes you to { $name }. After paying you come back to the shop.
offsite-fine = You are not charged on this page yet.
slip-fine = The next page shows the number and how to pay.
card-fine = Your card number goes straight to the payment company. The shop never sees it.
card-needs-js = Paying by card needs JavaScript. Please turn it on in your browser or choose another way to pay.
card-unavailable = Cards cannot be used at the moment. Please choose another way to pay.

card-number = Card number
card-expiry = Expiry (month/year)
card-expiry-example = MM/YY
card-cvc = Security code
card-cvc-help = 3 digits on the back (Amex: 4 on the front)
card-name = Name on card
card-error-number = Please check the card number.
card-error-brand = Cards of this brand are not accepted. Please use another card.
card-error-expiry = Enter the expiry as month/year (for example 04/29).
card-error-expired = This card has expired. Please use another card.
card-error-cvc = Please check the security code.

konbini-store = Which store will you pay at?
field-email = Email
field-email-help = Used to confirm your payment
field-email-slip-help = We send the payment number here
field-phone = Phone number
field-optional = optional
field-name = Name
field-family-name = Family name
field-given-name = Given name
field-family-name-kana = Family name in katakana
field-given-name-kana = Given name in katakana
field-kana-example-family = ヤマダ
field-kana-example-given = ハナコ
field-prepaid-number = Prepaid number
field-error-required = Please fill this in.
field-error-email = Please check the email address (for example name@example.jp).
field-error-phone = Enter a phone number of at least 10 digits.
field-error-kana = Please use katakana.
field-error-store = Please choose a store.
field-error-number = Please check the number.
field-error-invalid = Please check what you entered.

slip-title-konbini = How to pay at { $name }
slip-title-bank = Where to transfer
slip-title-pay-easy = How to pay with Pay-easy
slip-deadline = Pay by
slip-fee-included = Includes a fee of { $amount }
slip-paid = Your payment has arrived.
slip-paid-next = Thank you. { $shop } will be in touch.
slip-over = This number can no longer be used.
slip-over-next = You have not been charged. Please order again at the shop.
slip-steps = What to do
slip-after = This page changes once you have paid.
slip-mailed = We also sent these details to { $email }.
slip-barcode = Show this barcode at the till
slip-number-seven-eleven = Payment slip number
slip-number-daily-yamazaki = Online payment number
slip-number-seicomart = Receipt number
slip-number-customer = Customer number
slip-number-confirmation = Confirmation number
bank-name = Bank
bank-branch = Branch
bank-branch-with-number = { $branch } (no. { $number })
bank-account-type = Account type
bank-account-normal = Ordinary (futsu)
bank-account-checking = Checking (toza)
bank-account-savings = Savings (chochiku)
bank-account-number = Account number
bank-account-name = Account name
pay-easy-bank-id = Biller number
pay-easy-customer-id = Customer number
pay-easy-confirmation-id = Confirmation number
pay-easy-online = Pay with online banking
steps-seven-eleven-1 = Note the payment slip number or print this page, and take it to any 7-Eleven.
steps-seven-eleven-2 = At the till, say 「インターネットショッピングの支払い」 (paying for an internet purchase).
steps-seven-eleven-3 = Show the number. The barcode works too.
steps-seven-eleven-4 = Pay, and keep the receipt.
steps-lawson-1 = Note the customer number and the confirmation number, and go to any Lawson.
steps-lawson-1-plain = Note the customer number and go to any Lawson.
steps-lawson-3-plain = Check the details and print the slip.
steps-lawson-2 = At the terminal in the store choose 「各種番号をお持ちの方」 and enter the customer number.
steps-lawson-3 = Enter the confirmation number, check the details and print the slip.
steps-lawson-4 = Take the slip to the till within 30 minutes and pay.
steps-family-mart-1 = Note the customer number and the confirmation number, and go to any FamilyMart.
steps-family-mart-1-plain = Note the customer number and go to any FamilyMart.
steps-family-mart-3-plain = Check the details and print the slip.
steps-family-mart-2 = At the multi-copy machine choose 「代金支払い」 and enter the customer number.
steps-family-mart-3 = Enter the confirmation number, check the details and print the slip.
steps-family-mart-4 = Take the slip to the till within 30 minutes and pay.
steps-ministop-1 = Note the customer number and the confirmation number, and go to any Ministop.
steps-ministop-1-plain = Note the customer number and go to any Ministop.
steps-ministop-3-plain = Check the details and print the slip.
steps-ministop-2 = At the terminal in the store choose 「各種番号をお持ちの方」 and enter the customer number.
steps-ministop-3 = Enter the confirmation number, check the details and print the slip.
steps-ministop-4 = Take the slip to the till within 30 minutes and pay.
steps-daily-yamazaki-1 = Note the online payment number and go to any Daily Yamazaki.
steps-daily-yamazaki-2 = At the till, say 「オンライン決済」 (online payment).
steps-daily-yamazaki-3 = Enter the number on the till's screen and check the details.
steps-daily-yamazaki-4 = Pay, and keep the receipt.
steps-seicomart-1 = Note the receipt number and the confirmation number, and go to any Seicomart.
steps-seicomart-1-plain = Note the receipt number and go to any Seicomart.
steps-seicomart-3-plain = Enter the number and check the details.
steps-seicomart-2 = At the till, say 「インターネット代金の支払い」 (paying for an internet purchase).
steps-seicomart-3 = Enter both numbers and check the details.
steps-seicomart-4 = Pay, and keep the receipt.
steps-konbini-1 = Note the number above or print this page, and go to the store.
steps-konbini-2 = At the till, say 「インターネット代金の支払い」 (paying for an internet purchase) and show the number.
steps-konbini-3 = Pay, and keep the receipt.
steps-bank_transfer-1 = Transfer exactly the amount shown to the account above.
steps-bank_transfer-2 = Use the same name for the transfer as for the order.
steps-bank_transfer-3 = Your bank's transfer fee is yours to pay. After 15:00 it may be confirmed on the next business day.
steps-pay_easy-1 = At an ATM with the Pay-easy mark or in your online bank, choose 「税金・料金払込み」 (taxes and bills).
steps-pay_easy-2 = Enter the biller number, the customer number and the confirmation number, in this order.
steps-pay_easy-3 = Check the details and pay.

poll-offline = There is no connection. We keep trying.
poll-changed = The state has changed. Updating the page.

tds-title = Your card company's check
tds-what = Please confirm it is you on your card company's page. The payment goes on after that.
tds-frame = Your card company's page
tds-trouble = If the page does not appear,
tds-open = open it in the whole window.
frame-return-title = Returning to your payment
frame-return-what = If nothing happens, press the button to go back to your payment at { $shop }.
frame-return-link = Back to the payment
processing-title = We are confirming your payment
processing-what = We are waiting for the payment company's answer. You will not be charged twice.
processing-stay = Please wait here. If you close this page, the check goes on.
completed-title = Your payment is complete
completed-what = Thank you. { $shop } will be in touch about your order.
completed-close = You may close this page.
fact-state = State
fact-method = Paid with
fact-when = When
fact-order = Order number
fact-payment = Payment number
expired-title = This payment page has expired
expired-what = You have not been charged.
expired-next = Please return to { $shop } and start again.
cancelled-title = The payment was cancelled
cancelled-what = You have not been charged.
cancelled-next = To go on with your purchase, return to { $shop }.
not-found-title = Page not found
not-found-what = The address is wrong, or the page is gone.
not-found-next = Opening this page never charges you. Please start again from the shop's site.
server-error-title = Something went wrong
server-error-what = A fault of ours keeps this page from being shown.
server-error-next = Wait a little and refresh the page. If it goes on, contact the shop and quote the number below.
