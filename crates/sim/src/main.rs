//! `kessai-sim`
use kessai_sim::{Plan, Sky};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let seed: u64 = args[1].parse().unwrap();
    let many: u64 = args[2].parse().unwrap();
    let payments: u64 = args[4].parse().unwrap();
    for seed in seed..seed + many {
        let mut plan = Plan::new(seed, Sky::parse(&args[3]).unwrap(), payments);
        plan.keep_log = args.len() > 5;
        let outcome = kessai_sim::run(plan);
        for line in &outcome.log {
            println!("{line}");
        }
        if !outcome.broken.is_empty() || many == 1 {
            println!("seed {seed}: steps {} hash {:x}", outcome.steps, outcome.hash);
            for what in &outcome.broken { println!("   {what}"); }
        }
        if many == 1 { println!("{:#?}", outcome.coverage); }
    }
}
