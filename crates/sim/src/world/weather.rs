//! What goes wrong: at one moment, or for a while.
use super::World;
use crate::fault::Fault;
use kessai_store::sqlite::stepped::Mood;

impl World {
    pub(super) fn struck(&mut self, fault: Fault) {
        self.note(900 + fault as u64, 0, || format!("fault: {}", fault.name()));
        self.count(fault.name());
    }

    /// Whether this goes wrong now.
    pub(super) fn strikes(&mut self, fault: Fault) -> bool {
        if self.clear {
            return false;
        }
        let rate = self.weather.rate(fault);
        let struck = self.fates.strikes(rate);
        if struck {
            self.struck(fault);
        }
        struck
    }

    pub(super) fn window(&mut self, fault: Fault, begins: bool) {
        let changed = if begins {
            !self.clear && self.windows.insert(fault)
        } else {
            self.windows.remove(&fault)
        };
        if !changed {
            return;
        }
        self.note(22, fault as u64, || {
            format!("{} {}", fault.name(), if begins { "begins" } else { "ends" })
        });
        match fault {
            Fault::DiskFull => {
                self.disk_was_full = true;
                self.count(fault.name());
                self.database.fill_disk(begins).expect("the database");
            }
            Fault::StoreRefuses | Fault::StoreBusy => {
                if begins {
                    self.count(fault.name());
                }
                let refuses = self.windows.contains(&Fault::StoreRefuses);
                let busy = self.windows.contains(&Fault::StoreBusy);
                self.database.set_mood(if refuses {
                    Mood::Unavailable
                } else if busy {
                    Mood::Busy
                } else {
                    Mood::Stepped
                });
            }
            _ => {}
        }
    }

    /// Nothing goes wrong any more.
    pub(super) fn clears(&mut self) {
        self.note(6, 0, || "the weather clears".to_owned());
        self.clear = true;
        for fault in self.windows.clone() {
            self.window(fault, false);
        }
        for n in 0..self.nodes.len() {
            if let Some(node) = &mut self.nodes[n] {
                node.clock.correct();
            }
            self.skews[n] = 0;
        }
    }
}
