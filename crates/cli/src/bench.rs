//! `kessai bench`
/// `kessai bench`
#[derive(Debug, clap::Args)]
pub struct BenchArgs {}
/// Runs the benchmark.
pub async fn run(_: BenchArgs) -> anyhow::Result<()> {
    anyhow::bail!("not yet")
}
