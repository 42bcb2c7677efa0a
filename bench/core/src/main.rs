//! Does one case so many times: what callgrind counts (`.ci/instructions`).
//!
//! ```text
//! mdp-bench-core list
//! mdp-bench-core CASE TIMES
//! ```

use anyhow::{Context, bail};

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let name = args.next().context("name a case, or say `list`")?;
    if name == "list" {
        mdp_bench_core::cases().iter().for_each(|case| println!("{}", case.name));
        return Ok(());
    }
    let times: u64 = args.next().context("how many times?")?.parse()?;
    let found = mdp_bench_core::cases().into_iter().find(|case| case.name == name);
    let Some(mut case) = found else { bail!("there is no case `{name}`; see `list`") };
    (0..times).for_each(|_| case.run());
    Ok(())
}
