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
discrepancy-amount = The amounts differ
discrepancy-state = The states differ
discrepancy-missing-here = A payment is missing in Kessai
discrepancy-missing-there = A payment is missing at the provider
discrepancy-owner = Another order's payment came back
discrepancy-late-money = Money came after the deadline
discrepancy-other = The records disagree

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
