nav-label = Menu
nav-today = Today
nav-payments = Payments
nav-deliveries = Webhooks
nav-discrepancies = Discrepancies
nav-developer = Developers
badge = { $n ->
    [one] { $n } needs a person
   *[other] { $n } need a person
}
logout = Sign out
login-title = Sign in
login-tag = Back office
login-email = User name
login-password = Password
login-act = Sign in
login-hint = Sign in to the demo with
login-wrong = The user name or the password is not right.
login-locked = After too many failures, signing in is paused for a minute.
login-ended = You were signed out after a while. Please sign in again.

col-state = State
col-when = When
col-order = Order number
col-customer = Customer
col-method = Method
col-amount = Amount
col-select = Select
col-event = Event
col-url = To
col-tries = Tries
col-last = Last try
col-next = Next try
col-act = Action
filter-q = Search
filter-q-hint = Order, payment number, name
filter-all = All
filter-from = From
filter-to = To
filter-go = Filter
filter-clear = Clear the filter
csv = Save as CSV
payments-count = { $n ->
    [one] { $n } payment
   *[other] { $n } payments
}
payments-none = There are no payments yet.
payments-none-next = A customer's first payment appears here.
payments-no-match = No payment matches.
list-total = Total of all { $amount }
list-selected = %n selected, total %amount.
list-keys = Keys: / search, j k move, x select, Enter open
select-row = Select { $number }
pager-label = Pages
pager-range = { $first } to { $last }
pager-newer = Newer
pager-older = Older

notice-refunded = { $amount } was refunded.
notice-captured = { $amount } was captured.
notice-cancelled = The payment of { $amount } was cancelled.
notice-unknown = The outcome for { $amount } is being confirmed. It will not be done twice.
notice-refused = This could not be done. The payment has not changed.
notice-replayed = Queued again: { $amount }
notice-noted = The note was kept.
notice-settled = The discrepancy was marked as settled.
notice-reconciling = The comparison has begun.
notice-reconciling-already = A comparison is under way already.

detail-acts = Actions
detail-timeline = Timeline
detail-timeline-none = Nothing has been recorded yet.
detail-money = Money
detail-order = Order
detail-description = Description
detail-references = Provider references
money-authorized = Authorized
money-captured = Captured
money-refunded = Refunded
money-remaining = Remaining
capture-amount = Amount to capture (at most { $most })
refund-amount = Amount to refund (at most { $most })
act-reason = Reason (optional)
fact-reason = Reason
act-capture-button = Capture { $amount }
act-refund-button = Refund { $amount }
act-cancel-button = Cancel the payment of { $amount }
act-capture-template = Capture %amount
act-refund-template = Refund %amount
act-inquire = Ask the provider for the state
act-next-step = The next page shows what will happen before anything is done.
act-busy = Working…
act-back = Go back
act-capture-title = Confirm the capture
act-refund-title = Confirm the refund
act-cancel-title = Confirm the cancellation
act-capture-rest = Released without capture
act-refund-rest = Still captured after this
act-cancel-rest = What remains
act-capture-warning = The customer will be charged { $amount }. A capture cannot be undone (it can be refunded).
act-refund-warning = { $amount } goes back to the customer. A refund cannot be undone.
act-cancel-warning = The payment of { $amount } will be called off. The customer can no longer pay with this number or hold. This cannot be undone.
note-label = Leave a note
note-act = Keep

timeline-wire = What was said
timeline-request = Request
timeline-reply = Reply
timeline-masked = Card numbers, tokens and keys are masked.
who-shopper = Shopper
who-shop = The shop's system (API)
who-hub = Kessai
happening-session-opened = Checkout opened
happening-method-chosen = Method chosen
happening-slip-issued = Payment numbers issued
happening-authorize-asked = Authorization asked for
happening-authorized = Authorized
happening-capture-asked = Capture asked for
happening-captured = Captured
happening-refund-asked = Refund asked for
happening-refunded = Refunded
happening-cancel-asked = Cancellation asked for
happening-cancelled = Cancelled
happening-expired = Expired
happening-declined = Declined
happening-reply-lost = No reply; confirming the outcome
happening-inquired = State inquired
happening-notified = Notification from the provider
happening-webhook-delivered = Shop notified
happening-webhook-failed = Notifying the shop failed
happening-discrepancy-found = Discrepancy found
happening-discrepancy-settled = Discrepancy settled
happening-noted = Note
happening-clock-moved = Clock moved

deliveries-none = There are no notifications.
delivery-replay = Send again
tries-count = { $n ->
    [one] { $n } try
   *[other] { $n } tries
}
range-title = Send a period again
range-help = The body and the number stay the same, so that a receiver can tell repeats. Times are Japan's.
range-only = Which
range-only-dead = Stopped ones only
range-only-all = All
range-act = Send this period again

discrepancies-count = { $n } open
discrepancies-what = Here Kessai's record and the provider's disagree. Look into each and note what you did.
discrepancies-none = There are no discrepancies.
discrepancy-ours = Kessai's record
discrepancy-found = Found
discrepancy-settled = Settled
discrepancy-note = What did you do about it?
discrepancy-settle = Mark as settled
discrepancies-tab-open = Open
discrepancies-tab-settled = Settled
discrepancies-none-settled = No discrepancy has been settled yet.
discrepancies-more = The newest { $n } are shown.
discrepancy-meaning = What it means
discrepancy-to-do = What to do
discrepancy-again = Found again after it was settled
discrepancy-earlier = What was done last time
discrepancy-agreed = Both records agree again, so it settled itself.
reconcile-title = Compared with the provider
reconcile-what = Every day, open and recent payments are compared with the provider's records. What we did not know is taken in; the rest is listed here.
reconcile-none = Nothing has been compared yet.
reconcile-act = Compare now
reconcile-started = Began
reconcile-ended = Ended
reconcile-running = Comparing: { $seen } of { $total }
reconcile-done = Everything was compared.
reconcile-partial = Some payments could not be compared.
reconcile-held = Waiting for the provider to answer. It goes on by itself.
reconcile-left = It stopped on the way. Compare again.
reconcile-reload = Refresh
reconcile-compared = Compared
reconcile-agreed = Agree
reconcile-settled = Settled by it
reconcile-raised = New discrepancies
reconcile-standing = Known discrepancies
reconcile-waiting = Too early to tell
reconcile-unanswered = Not compared
reconcile-why = The provider's answer
discrepancy-amount-mismatch = The amounts differ
discrepancy-amount-mismatch-means = The provider's amount is not the one Kessai asked for.
discrepancy-amount-mismatch-do = Find out at the provider who changed it. If the payment was not complete yet, Kessai has asked for it to be cancelled or refunded: see at the provider that it was.
discrepancy-late-authorization = A closed payment is authorized
discrepancy-late-authorization-means = Cancelled, expired or failed here, but authorized at the provider.
discrepancy-late-authorization-do = Kessai asks the provider to cancel it. See in the timeline that it went through. Do not charge the same order again while the shopper's limit is still held.
discrepancy-late-capture = A closed payment was paid
discrepancy-late-capture-means = Cancelled, expired or failed here, but paid at the provider.
discrepancy-late-capture-do = Tell the shopper, and either send the goods or refund at the provider.
discrepancy-over-refund = More went back than was taken
discrepancy-over-refund-means = The provider shows refunds above what was captured.
discrepancy-over-refund-do = See whether somebody refunded at the provider as well, and settle the surplus with the provider.
discrepancy-unexpected-refund = A closed payment was refunded
discrepancy-unexpected-refund-means = The provider shows a refund for a payment that is closed here.
discrepancy-unexpected-refund-do = Find out at the provider who refunded it, and why.
discrepancy-closed-after-capture = Closed after it was captured
discrepancy-closed-after-capture-means = Captured here, but cancelled, expired or failed at the provider.
discrepancy-closed-after-capture-do = The money may never arrive. Hold the goods back if you still can, and ask the provider why: a chargeback, or a mistake.
discrepancy-other-payment = Another payment came back
discrepancy-other-payment-means = Asked about this payment, the provider shows one with another order number. Kessai took nothing of it.
discrepancy-other-payment-do = Find out at the provider whose payment it is. Once the right one comes back, the next comparison settles this.
discrepancy-unknown-payment = A payment is missing in Kessai
discrepancy-unknown-payment-means = The provider sent a genuine notification about a payment that Kessai does not know.
discrepancy-unknown-payment-do = See whether it was made by hand or by another system under the same account. Right after a restore from a backup, tell your operator.
discrepancy-unknown-at-provider = A payment is missing at the provider
discrepancy-unknown-at-provider-means = The provider says that it does not know this payment.
discrepancy-unknown-at-provider-do = Search for its number at the provider. If it is not there, the account may be the wrong one, or test and live mixed up: tell your operator.
discrepancy-unknown-too-long = Its end has been unknown for 31 days
discrepancy-unknown-too-long-means = Kessai has asked for 31 days how an operation ended, and got no clear answer.
discrepancy-unknown-too-long-do = Ask the provider's support, with this payment's number. Do not do the operation again by hand before you know.
discrepancy-missing-authorization = The authorization is missing at the provider
discrepancy-missing-authorization-means = Authorized here, but still pending at the provider.
discrepancy-missing-authorization-do = Hold the goods back and look at the provider. If the authorization comes back, the next comparison settles this.
discrepancy-missing-capture = The capture is missing at the provider
discrepancy-missing-capture-means = Captured here, but not captured at the provider.
discrepancy-missing-capture-do = As it stands you will not be paid. Hold the goods back if you still can, and ask the provider. Once it is captured there, the next comparison settles this.
discrepancy-missing-refund = A refund is missing at the provider
discrepancy-missing-refund-means = Refunded here, but the provider's record does not show it.
discrepancy-missing-refund-do = The shopper may not have the money back. Look at the provider where the refund stands.
discrepancy-still-open-there = A closed payment can still be paid
discrepancy-still-open-there-means = Closed here, but still payable at the provider. Kessai asked for it to be cancelled and was refused.
discrepancy-still-open-there-do = Cancel it at the provider. If the shopper pays before that, it is reported as late money.
discrepancy-other = The records disagree
discrepancy-other-means = Kessai's record and the provider's disagree.
discrepancy-other-do = Compare the payment's timeline with what the provider shows.

today-tasks = Needs a person
today-calm = Nothing needs you right now.
today-figures = Today in numbers
today-recent = Recent payments
today-all = All payments
figure-captured = Captured today
figure-waiting = Awaiting payment
figure-refunded = Refunded today
chart-title = Captured per day (last { $n } days)
chart-table = Show as a table
chart-day = Day
chart-count = Payments
task-oldest = Oldest:
task-discrepancy = { $n ->
    [one] { $n } discrepancy
   *[other] { $n } discrepancies
}
task-discrepancy-act = Look into it
task-unknown = { $n ->
    [one] { $n } payment with an unknown outcome
   *[other] { $n } payments with an unknown outcome
}
task-unknown-act = Show
task-dead-deliveries = { $n ->
    [one] { $n } notification not delivered
   *[other] { $n } notifications not delivered
}
task-dead-deliveries-act = Send again
task-to-capture = { $n ->
    [one] { $n } payment to capture
   *[other] { $n } payments to capture
}
task-to-capture-act = Capture
task-slips-ending = { $n ->
    [one] { $n } payment due today
   *[other] { $n } payments due today
}
task-slips-ending-act = Show
task-refund-requests = { $n ->
    [one] { $n } refund to arrange
   *[other] { $n } refunds to arrange
}
task-refund-requests-act = Arrange

docs-title = API reference
docs-office = Back office
docs-base = Base URL
docs-auth = HTTP Basic authentication (secret key as user name, empty password)
docs-none = The OpenAPI document has no operations.
docs-parameters = Parameters
docs-request = Request
docs-replies = Replies
docs-fields = Fields
docs-name = Name
docs-type = Type
docs-words = Description
docs-required = required
docs-deprecated = deprecated
