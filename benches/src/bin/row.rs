//! Runs one row of the tables at a time, as its standard input asks, and prints the CPU time of a
//! message in ns. `compare` lets two builds of it take turns.

use std::error::Error;
use std::io;

use msgstream_bench::clock::cpu_time;
use msgstream_bench::{Rates, Shape, Workload};

/// Each line has the names of a workload and its rates, and the numbers of channels, bytes and messages.
fn main() -> Result<(), Box<dyn Error>> {
    for line in io::stdin().lines() {
        let line = line?;
        let [workload, rates, channels, payload, messages] =
            line.split(' ').collect::<Vec<_>>()[..]
        else {
            return Err(format!("five words are expected, and not `{line}`").into());
        };
        let workload = Workload::ALL.into_iter().find(|w| w.to_string() == workload);
        let rates = [Rates::Equal, Rates::Skewed].into_iter().find(|r| r.to_string() == rates);
        let (Some(workload), Some(rates)) = (workload, rates) else {
            return Err(format!("there is no such row: `{line}`").into());
        };
        let shape = Shape { payload: payload.parse()?, channels: channels.parse()?, rates };
        let job = workload.prepare(shape, messages.parse()?)?;
        let began = cpu_time();
        let done = job.run()?;
        let took = cpu_time() - began;
        println!("{}", took.as_nanos() as f64 / done.messages() as f64);
        done.check()?;
    }
    Ok(())
}
