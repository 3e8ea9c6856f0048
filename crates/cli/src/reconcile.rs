//! `kessai reconcile`: our books against the providers', now.
use crate::config::Config;
use crate::hub::{Database, Hub, HubSettings, vault_keys};
use crate::real::{HttpTransport, Reach, SystemClock};
use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::{SpanRelativeTo, Timestamp};
use kessai_core::Clock as _;
use kessai_core::time::{tokyo, wire_utc};
use kessai_engine::reconcile::{Run, RunStatus, Went};
use kessai_engine::{Engine, Shop};
use kessai_store::repo::{self, DiscrepancyRow, instant};
use kessai_store::{Migrate, Store};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// Discrepancies are open: a person must look.
const OPEN: u8 = 3;
/// Something could not be compared.
const INCOMPLETE: u8 = 4;
/// How many open discrepancies of a shop are printed.
const SHOWN_MOST: i64 = 50;

/// `kessai reconcile`
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
What happens
  Every payment that is open, and every one that was made or changed in the last days, is
  asked about at its provider. What the provider knows and the hub does not is taken in, as a
  notification would have been: the shop's webhooks follow. What does not fit is written down
  as a discrepancy, once, for a person. Nothing is charged or captured by it. What should not
  be there, the hub gives up at the provider, as it always does: it cancels what is closed
  here, and refunds a charge of a wrong amount.

  It works on the database of the configuration, in this process, and may run while the hub
  runs. The hub does the same by itself once a day ([reconcile] in kessai.toml).

When it is cut off
  Where it stood is in the database. The same command goes on from there, from five minutes
  later on; sooner, or with another --since, it begins anew. When a provider does not answer,
  it says so and stops: run it again later.

Exit codes
  0  everything was compared, and nothing is open
  1  it could not begin: configuration, keys or database
  3  discrepancies are open: see the office (/shop/discrepancies) and
     docs/operations/unknown-and-discrepancies.md for what each needs
  4  some payments could not be compared, whether or not discrepancies are open

Examples
  kessai reconcile                             all shops, as many days as the configuration says
  kessai reconcile --since 30d --shop 1k2j     one shop, a month
  kessai reconcile --since 2026-11-01 --json | jq '.open_discrepancies[].payment'")]
pub struct ReconcileArgs {
    /// Only this shop, by its id as `kessai shop list` shows it.
    #[arg(long)]
    shop: Option<String>,
    /// From when a payment counts as recent: a span back (30d, 12h) or a day in Japan (2026-11-01). Open payments are
    /// compared whatever their age.
    #[arg(long)]
    since: Option<String>,
    /// Print one JSON object on standard output, and nothing else there.
    #[arg(long)]
    json: bool,
    /// The configuration file; kessai.toml when it is there.
    #[arg(long, env = "KESSAI_CONFIG")]
    config: Option<PathBuf>,
}

/// The instant that `--since` names.
fn since(text: &str, now: Timestamp) -> anyhow::Result<Timestamp> {
    let help = || format!("--since {text}: try 30d, 12h or 2026-11-01");
    if let Ok(day) = text.parse::<jiff::civil::Date>() {
        return Ok(day.to_zoned(tokyo()).with_context(help)?.timestamp());
    }
    let span: jiff::Span = text.parse().with_context(help)?;
    let back = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .with_context(help)?;
    now.checked_sub(back.abs()).with_context(help)
}

/// One shop's payments with one provider.
struct Compared {
    shop: Arc<Shop>,
    run: Run,
}

impl Compared {
    fn is_complete(&self) -> bool {
        self.run.status() == RunStatus::Done
    }

    fn json(&self) -> Value {
        let found = self.run.found();
        json!({
            "shop": self.shop.id, "name": self.shop.name, "provider": self.run.provider(), "run": self.run.id(),
            "status": self.run.status().as_str(), "since": wire_utc(self.run.since()), "total": self.run.total(),
            "compared": found.compared, "agreed": found.agreed, "settled": found.settled, "raised": found.raised,
            "standing": found.standing, "waiting": found.waiting, "unanswered": found.unanswered,
            "trouble": self.run.trouble(), "unanswered_payments": self.run.unanswered(),
        })
    }

    fn print(&self) {
        let found = self.run.found();
        println!("{} ({}), {}:", self.shop.name, self.shop.id, self.run.provider());
        println!(
            "  {} compared: {} agree, {} settled, {} new discrepancies, {} known",
            found.compared, found.agreed, found.settled, found.raised, found.standing
        );
        if found.waiting > 0 {
            println!(
                "  {} with an operation under way or just over: too early to tell",
                found.waiting
            );
        }
        if found.unanswered > 0 {
            println!(
                "  {} without a usable answer, such as {}",
                found.unanswered,
                self.run.unanswered().join(", ")
            );
        }
        if let Some(why) = self.run.trouble() {
            let (seen, total) = (self.run.seen(), self.run.total().unwrap_or_default());
            println!("  NOT COMPLETE, {seen} of {total}: {why}");
        }
    }
}

/// Compares, shows how far it is, and says what a person must look at.
///
/// # Errors
/// When the configuration is wrong, the database cannot be opened, or there is no such shop.
pub async fn run(args: ReconcileArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(
        crate::serve::config_file(args.config).as_deref(),
        std::env::vars(),
    )?;
    let clock = Arc::new(SystemClock::default());
    let settings = config.engine()?;
    let asked = args
        .since
        .clone()
        .unwrap_or_else(|| format!("{}d", settings.reconcile.days));
    let from = since(&asked, clock.now())?;
    let keys = vault_keys(&config.vault.key_file, false)?;
    let store = Database::parse(&config.store.database)
        .open(Migrate::Refuse)
        .await?;
    let hub = Hub::new(HubSettings {
        store: store.clone(),
        clock,
        transport: Arc::new(HttpTransport::new(Reach::Anywhere)?),
        private_webhooks: config.webhooks.allow_private_addresses,
        vault_keys: keys,
        engine: settings,
    })?;
    let shops = match &args.shop {
        Some(id) => vec![id.as_str().into()],
        None => repo::shops(store.as_ref(), 100_000)
            .await?
            .into_iter()
            .map(|row| row.shop_id)
            .collect::<Vec<Box<str>>>(),
    };
    let bar = progress_bar();
    let mut compared = Vec::new();
    let mut open = Vec::new();
    let mut count = 0;
    for id in &shops {
        let shop = hub.engine.shop(id).await.map_err(crate::shops::said)?;
        let shop = shop.with_context(|| format!("there is no shop {id}; kessai shop list shows them"))?;
        for provider in shop.accounts.keys() {
            let run = one(&hub.engine, &shop, provider, &asked, from, &bar).await?;
            let shop = shop.clone();
            compared.push(Compared { shop, run });
        }
        count += repo::open_discrepancy_tally(store.as_ref(), &shop.id)
            .await?
            .count;
        open.extend(repo::open_discrepancies(store.as_ref(), &shop.id, SHOWN_MOST).await?);
    }
    bar.finish_and_clear();
    let complete = compared.iter().all(Compared::is_complete);
    if args.json {
        print_json(&compared, &open, count, complete);
    } else {
        print_text(&compared, &open, count, config.public_url());
    }
    close(store).await;
    Ok(match (complete, count) {
        (false, _) => ExitCode::from(INCOMPLETE),
        (true, 0) => ExitCode::SUCCESS,
        (true, _) => ExitCode::from(OPEN),
    })
}

async fn close(store: Arc<dyn Store>) {
    store.close().await;
}

/// One run from where it stands to where it gets.
async fn one(
    engine: &Engine,
    shop: &Shop,
    provider: &str,
    asked: &str,
    from: Timestamp,
    bar: &ProgressBar,
) -> anyhow::Result<Run> {
    let mut run = engine
        .reconcile_by_command(shop, provider, asked, from)
        .await
        .map_err(crate::shops::said)?;
    bar.set_message(format!("{} {provider}", shop.name));
    loop {
        let few = engine.settings().reconcile.at_once;
        let went = engine
            .work_a_little(shop, &mut run, few)
            .await
            .map_err(crate::shops::said)?;
        bar.set_length(run.total().unwrap_or_default());
        bar.set_position(run.seen());
        match went {
            Went::On => {}
            Went::Ended | Went::Stopped(_) => return Ok(run),
            Went::Taken => anyhow::bail!("another process has taken this run over: {}", run.id()),
        }
    }
}

/// On standard error, and only where somebody watches.
fn progress_bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} [{wide_bar}] {human_pos}/{human_len} {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style)
}

fn print_json(compared: &[Compared], open: &[DiscrepancyRow], count: i64, complete: bool) {
    let runs: Vec<Value> = compared.iter().map(Compared::json).collect();
    let open: Vec<Value> = open
        .iter()
        .map(|row| {
            let details: Value = serde_json::from_str(&row.body).unwrap_or_default();
            json!({"shop": row.shop_id, "id": row.id, "kind": row.kind, "payment": row.payment_id,
                   "found_at": wire_utc(instant(row.created_at)), "details": details})
        })
        .collect();
    println!(
        "{}",
        json!({"complete": complete, "open": count, "runs": runs, "open_discrepancies": open})
    );
}

fn print_text(compared: &[Compared], open: &[DiscrepancyRow], count: i64, public_url: &str) {
    compared.iter().for_each(Compared::print);
    if compared.is_empty() {
        println!("There is no shop with a provider account yet: kessai shop add NAME");
    }
    if count == 0 {
        println!("No discrepancy is open.");
        return;
    }
    println!("{count} open:");
    for row in open {
        println!("  {:<22} {}", row.kind, row.payment_id);
    }
    println!(
        "What each needs: {public_url}/shop/discrepancies, or docs/operations/unknown-and-discrepancies.md"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_span_back_or_a_day_in_japan() {
        let now = "2026-11-21T03:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("7d", "2026-11-14T03:00:00Z"),
            ("12h", "2026-11-20T15:00:00Z"),
            ("2026-11-01", "2026-10-31T15:00:00Z"),
        ] {
            assert_eq!(
                since(text, now).unwrap(),
                expected.parse::<Timestamp>().unwrap(),
                "{text}"
            );
        }
        assert!(since("soon", now).is_err());
    }
}
