//! One node of the hub: the real engine, doors and job runner, in a runtime of its own that runs only when the world lets it.
use crate::rng::{Dice, Rng};
use crate::shared::{Ask, Net, Owner, Seen, SimClock, Wish, Wishes};
use axum::Router;
use axum::body::Body;
use http_body_util::BodyExt as _;
use kessai_core::Clock;
use kessai_engine::vault::Vault;
use kessai_engine::{Engine, EngineSettings, Parts, every_job};
use kessai_http::{App, Limits};
use kessai_jobs::Runner;
use kessai_provider_komoju::Komoju;
use kessai_store::sqlite::stepped::SteppedDatabase;
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};
use tower::ServiceExt as _;

/// Where the hub is.
pub const HUB_URL: &str = "http://hub.test";
/// How long a job's lease lasts, in seconds, as in the binary.
pub const LEASE_S: i64 = 120;

/// Makes an engine as the binary does.
pub fn engine(
    database: &Arc<SteppedDatabase>,
    number: usize,
    life: u64,
    clock: &SimClock,
    wishes: &Wishes,
    rng: &Rng,
) -> Arc<Engine> {
    let dice = Arc::new(Dice::new(rng.fork(number as u64 * 10_007 + life)));
    let owner = Owner::Node(number, life);
    let net = |webhook| {
        Arc::new(Net {
            wishes: wishes.clone(),
            owner,
            webhook,
        })
    };
    Arc::new(Engine::new(Parts {
        store: database.door(number),
        clock: Arc::new(clock.clone()),
        entropy: dice.clone(),
        transport: net(false),
        webhooks: net(true),
        providers: vec![Arc::new(Komoju)],
        vault: Vault::new(&[[7; 32]], dice),
        settings: EngineSettings {
            public_url: HUB_URL.into(),
            ..EngineSettings::default()
        },
    }))
}

/// A node that is up.
pub struct Node {
    runtime: Runtime,
    router: Router,
    wishes: Wishes,
    runner: JoinHandle<()>,
    _stop: watch::Sender<bool>,
    /// How often it was started before.
    pub life: u64,
    /// Its clock.
    pub clock: SimClock,
    /// Whether something completed for it since it last ran.
    pub poked: bool,
    /// Until when it stands still.
    pub paused_until_us: i64,
}

/// A runtime whose time stands still and which never sleeps.
pub fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        // one round of the loop runs everything that can run
        .event_interval(u32::MAX)
        .build()
        .expect("a runtime")
}

/// Runs everything in a runtime until all of it waits.
pub fn run_until_idle(runtime: &Runtime) {
    runtime.block_on(tokio::task::yield_now());
}

impl Node {
    /// Starts a node.
    pub fn start(
        database: &Arc<SteppedDatabase>,
        number: usize,
        life: u64,
        clock: SimClock,
        wishes: &Wishes,
        rng: &Rng,
    ) -> Self {
        let engine = engine(database, number, life, &clock, wishes, rng);
        let router = kessai_http::router(App::new(engine.clone(), Limits::default()));
        let shared_clock: Arc<dyn Clock> = Arc::new(clock.clone());
        let runner = every_job(Runner::new(
            engine.store().clone(),
            shared_clock,
            engine.clone(),
            LEASE_S,
        ));
        let runtime = runtime();
        let (stop, stopped) = watch::channel(false);
        let (waits, wake) = (wishes.clone(), engine.wake());
        let runner = runtime.spawn(async move {
            let pause = move |ms: u64| -> futures_util::future::BoxFuture<'static, ()> {
                let waits = waits.clone();
                let us = i64::try_from(ms).unwrap_or(2_000) * 1_000;
                Box::pin(async move { waits.wait(Owner::Node(number, life), us).await })
            };
            runner.keep_running(stopped, wake, pause).await;
        });
        Self {
            runtime,
            router,
            wishes: wishes.clone(),
            runner,
            _stop: stop,
            life,
            clock,
            poked: true,
            paused_until_us: 0,
        }
    }

    /// Lets it do what it can do now.
    pub fn run(&mut self) {
        self.poked = false;
        run_until_idle(&self.runtime);
    }

    /// Whether its job runner has ended, which it never should.
    pub fn runner_died(&self) -> bool {
        self.runner.is_finished()
    }

    /// A request comes in. The handle is the caller's connection: aborting it hangs up.
    pub fn take_in(&mut self, call: u64, ask: Ask) -> AbortHandle {
        self.poked = true;
        let (router, wishes) = (self.router.clone(), self.wishes.clone());
        let task = self.runtime.spawn(async move {
            let mut request = http::Request::builder().method(ask.method).uri(ask.path);
            for (name, value) in ask.headers {
                request = request.header(name, value);
            }
            let request = request.body(Body::from(ask.body)).expect("a request");
            let response = router.oneshot(request).await.expect("infallible");
            let (parts, body) = response.into_parts();
            let Ok(body) = body.collect().await else { return };
            let seen = Seen {
                status: parts.status.as_u16(),
                body: body.to_bytes(),
            };
            wishes.push(Wish::Answered { call, seen });
        });
        task.abort_handle()
    }
}
