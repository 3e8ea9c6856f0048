//! All jobs of the hub, in one list: whoever runs jobs knows every one of them.
use crate::Engine;
use crate::inbox::ProcessNotification;
use crate::outbox::Deliver;
use crate::reconcile::{Reconcile, ReconcileDaily};
use crate::settle::{Housekeeping, SettleAttempt, SweepAttempts, Unwind, WatchPayment};
use kessai_jobs::{NewJob, Runner};

/// Teaches a runner every job of the hub.
pub fn every_job(runner: Runner<Engine>) -> Runner<Engine> {
    runner
        .with::<SettleAttempt>()
        .with::<WatchPayment>()
        .with::<Unwind>()
        .with::<Deliver>()
        .with::<ProcessNotification>()
        .with::<Housekeeping>()
        .with::<SweepAttempts>()
        .with::<Reconcile>()
        .with::<ReconcileDaily>()
}

impl Engine {
    /// The jobs that run for ever, one of each in a store: whoever queues them first has.
    pub fn recurring_jobs(&self) -> [NewJob; 3] {
        let now = self.now();
        let next = self.settings.reconcile.next_run(now);
        [
            NewJob::new::<Self, _>("hub", "housekeeping", now, &Housekeeping {}),
            NewJob::new::<Self, _>("hub", "sweep", now, &SweepAttempts {}),
            NewJob::new::<Self, _>("hub", "reconcile", next, &ReconcileDaily {}),
        ]
    }
}
