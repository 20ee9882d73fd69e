//! The workloads for regression work: `cargo bench -p msgstream-bench -- produce/2ch`.
//!
//! Criterion compares each with its last run, in wall time. A run is 100,000 messages or so.

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use msgstream_bench::{MESSAGES_PER_TICK, Rates, Shape, Workload};

/// Least messages in a run; with many channels one interval is more.
const MESSAGES: usize = 100_000;

fn workloads(c: &mut Criterion) {
    for workload in Workload::ALL {
        let mut group = c.benchmark_group(workload.to_string());
        group.sample_size(10).measurement_time(Duration::from_secs(3));
        for payload in [128, 1024] {
            for channels in [1, 2, 8, 64, 1024] {
                let shape = Shape { payload, channels, rates: Rates::Equal };
                let messages = MESSAGES.max(2 * MESSAGES_PER_TICK * channels);
                group.throughput(Throughput::Elements(messages as u64));
                group.bench_function(shape.to_string(), |bencher| {
                    bencher.iter_custom(|runs| {
                        (0..runs).map(|_| time(workload, shape, messages)).sum()
                    });
                });
            }
        }
    }
}

/// One run. What it did is checked after the clock has stopped.
#[allow(clippy::expect_used, reason = "a benchmark that fails has nothing to say")]
fn time(workload: Workload, shape: Shape, messages: usize) -> Duration {
    let job = workload.prepare(shape, messages).expect("the workload can be prepared");
    let start = Instant::now();
    let done = job.run().expect("the workload runs");
    let took = start.elapsed();
    done.check().expect("the work was done");
    took
}

criterion_group!(benches, workloads);
criterion_main!(benches);
