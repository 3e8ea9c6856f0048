//! What the books promise.
use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

fn slip<'a>(id: &'a str, due_at: Option<Timestamp>) -> NewObject<'a> {
    NewObject {
        kind: "slip",
        id,
        number: Some("N-1"),
        status: "open",
        created_at: at("2026-01-01T00:00:00Z"),
        due_at,
        body: r#"{"currency":"JPY"}"#,
    }
}

#[test]
fn what_failed_half_way_was_never_booked() {
    let books = Books::open(None).expect("books");
    let failed: Result<(), BooksError> = books.write(|page| {
        page.insert(&slip("a", None))?;
        Err(BooksError("no".into()))
    });
    assert!(failed.is_err());
    assert!(
        books
            .read(|page| page.object("slip", "a"))
            .expect("read")
            .is_none()
    );
}

#[test]
fn nothing_is_due_before_its_time() {
    let books = Books::open(None).expect("books");
    let due = at("2026-01-03T14:59:59Z");
    books
        .write(|page| {
            page.insert(&slip("a", Some(due)))?;
            page.remember_next_due()
        })
        .expect("booked");
    assert!(!books.may_be_due(at("2026-01-03T14:59:58Z")));
    assert!(books.may_be_due(due));
    let found = books.read(|page| page.due(due, 10)).expect("read");
    assert_eq!(found, [("slip".to_owned(), "a".to_owned())]);
}

#[test]
fn lists_are_filtered_by_state_number_and_what_the_body_holds() {
    let books = Books::open(None).expect("books");
    books.write(|page| page.insert(&slip("a", None))).expect("booked");
    let mut filter = Filter {
        kind: "slip",
        number: Some("N-1"),
        statuses: vec!["open", "paid"],
        holding: Some(("currency", "JPY")),
        ..Filter::default()
    };
    assert_eq!(books.read(|page| page.list(&filter, 0, 10)).expect("read").0, 1);
    filter.holding = Some(("currency", "USD"));
    assert_eq!(books.read(|page| page.list(&filter, 0, 10)).expect("read").0, 0);
}

#[test]
fn a_leased_notice_is_not_handed_out_twice_and_returns_after_the_lease() {
    let books = Books::open(None).expect("books");
    let (now, later) = (at("2026-01-01T00:00:00Z"), at("2026-01-01T00:01:00Z"));
    books.write(|page| page.owe(now, "{}", "body")).expect("booked");
    let take = |when| {
        books
            .write(|page| page.take_notices(when, 10, later))
            .expect("taken")
            .len()
    };
    assert_eq!((take(now), take(now), take(later)), (1, 0, 1));
}

#[test]
fn totals_add_up_per_payment() {
    let books = Books::open(None).expect("books");
    let line = |what, amount| NewCharge {
        at: at("2026-01-01T00:00:00Z"),
        what,
        payment: "p",
        amount,
        currency: "JPY",
        number: None,
        detail: None,
    };
    books
        .write(|page| {
            page.charge(&line(Movement::Authorize, 1000))?;
            page.charge(&line(Movement::Capture, 700))?;
            page.charge(&line(Movement::Cancel, 300))?;
            page.charge(&line(Movement::Refund, 200))
        })
        .expect("booked");
    let sums = books
        .read(|page| page.totals("payment", "", 10))
        .expect("read")
        .remove(0);
    assert_eq!(
        (sums.authorized, sums.captured, sums.cancelled, sums.refunded),
        (1000, 700, 300, 200)
    );
}

#[test]
fn what_is_written_together_fails_alone_and_a_panic_undoes_all_of_it() {
    let books = Books::open(None).expect("books");
    let enter = |id: &'static str| books.write(|page| page.insert(&slip(id, None)));
    let second = books.together(|| {
        enter("a").expect("booked");
        let second = enter("a");
        enter("b").expect("booked all the same");
        second
    });
    assert!(second.expect("committed").is_err());
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        books.together(|| {
            enter("c").expect("booked, for now");
            panic!("half-way")
        })
    }));
    assert!(panicked.is_err());
    let there = |id: &str| {
        let found = books.read(|page| page.object("slip", id)).expect("read");
        found.is_some()
    };
    assert_eq!([there("a"), there("b"), there("c")], [true, true, false]);
}
