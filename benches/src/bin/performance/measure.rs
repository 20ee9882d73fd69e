//! Running workloads and reading clocks.

use std::hint::black_box;
use std::time::Instant;

use msgstream_bench::clock::{Median, cpu_time};
use msgstream_bench::{Case, Error};

/// What a case costs.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) case: Case,
    /// CPU time of the process for one message, in ns: the median of the runs, and their spread.
    pub(crate) cpu_ns: Median,
    /// The same, run by run.
    pub(crate) runs: Vec<f64>,
    /// Wall time for one message, in ns.
    pub(crate) wall_ns: Median,
    /// Allocations for one message.
    pub(crate) allocations: f64,
    /// By how much the heap grew at the most while the job ran, in bytes.
    pub(crate) peak: u64,
}

/// So often in a round does a case run in turn with the same one with a session: of the two the
/// difference counts, which is small beside either.
const PAIRS: usize = 5;

/// Runs all cases one after the other, and again as often as asked: what slows the machine down for
/// a while slows some runs of every case, not all runs of one. Allocations are counted once more,
/// apart from the runs that are timed.
pub(crate) fn all(
    cases: &[Case],
    runs: u32,
    messages: impl Fn(Case) -> usize,
) -> Result<Vec<Measured>, Error> {
    let mut times = vec![(Vec::new(), Vec::new()); cases.len()];
    for run in 1..=runs {
        for at in round(cases) {
            let (case, (cpu, wall)) = (cases[at], &mut times[at]);
            eprintln!("run {run} of {runs}: {case}");
            let took = time(case, messages(case))?;
            cpu.push(took.0);
            wall.push(took.1);
        }
    }
    cases
        .iter()
        .zip(times)
        .map(|(case, (runs, wall))| {
            let (allocations, peak) = count(*case, messages(*case))?;
            let (cpu_ns, wall_ns) = (Median::of(runs.clone()), Median::of(wall));
            Ok(Measured { case: *case, cpu_ns, runs, wall_ns, allocations, peak })
        })
        .collect()
}

/// The cases of a round in their order, by their indices.
fn round(cases: &[Case]) -> Vec<usize> {
    let with_session = |case: &Case| {
        let workload = case.workload.with_session()?;
        cases.iter().position(|c| c.workload == workload && c.shape == case.shape)
    };
    let pairs: Vec<_> = cases.iter().map(with_session).collect();
    let mut order = Vec::new();
    for (at, pair) in pairs.iter().enumerate() {
        match pair {
            Some(pair) => order.extend([at, *pair].repeat(PAIRS)),
            // It had its turns with the one without.
            None if pairs.contains(&Some(at)) => {}
            None => order.push(at),
        }
    }
    order
}

/// CPU and wall time for one message, in ns.
fn time(case: Case, messages: usize) -> Result<(f64, f64), Error> {
    let job = case.workload.prepare(case.shape, messages)?;
    let (cpu, wall) = (cpu_time(), Instant::now());
    let done = job.run()?;
    let (cpu, wall) = (cpu_time() - cpu, wall.elapsed());
    let messages = done.messages() as f64;
    done.check()?;
    Ok((cpu.as_nanos() as f64 / messages, wall.as_nanos() as f64 / messages))
}

/// Allocations for one message, and by how many bytes the heap grew at the most.
fn count(case: Case, messages: usize) -> Result<(f64, u64), Error> {
    let job = case.workload.prepare(case.shape, messages)?;
    let mut done = None;
    let counted = allocation_counter::measure(|| done = Some(black_box(job.run())));
    let Some(done) = done.transpose()? else { return Ok((0.0, 0)) };
    let allocations = counted.count_total as f64 / done.messages() as f64;
    done.check()?;
    Ok((allocations, counted.bytes_max))
}

#[cfg(test)]
mod tests {
    use super::*;
    use msgstream_bench::{Rates, Shape, Workload};

    #[test]
    fn a_case_with_a_session_runs_in_turn_with_the_one_without() {
        let shape = |channels| Shape { payload: 128, channels, rates: Rates::Equal };
        let case = |workload, channels| Case { workload, shape: shape(channels) };
        let cases = [
            case(Workload::Merge, 2),
            case(Workload::Produce, 1),
            case(Workload::Produce, 2),
            case(Workload::ProduceSession, 2),
        ];
        let expected = [vec![0, 1], [2, 3].repeat(PAIRS)].concat();
        assert_eq!(round(&cases), expected);
        assert_eq!(round(&cases[3..]), [0]);
    }
}
