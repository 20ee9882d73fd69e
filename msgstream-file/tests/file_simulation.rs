//! Worlds on a simulated disk, see `msgstream_file::simulation`. `msgstream-sim disk` runs many.
#![allow(clippy::unwrap_used)]

use msgstream_file::simulation::run;

#[test]
fn the_laws_hold() {
    for seed in 0..200 {
        let report = run(seed, false);
        assert_eq!(report.violation, None, "seed {seed}");
    }
}

#[test]
fn a_seed_decides_everything() {
    for seed in 0..20 {
        let (one, other) = (run(seed, false), run(seed, false));
        assert_eq!((one.hash, one.calls), (other.hash, other.calls), "seed {seed}");
        assert_ne!(one.hash, run(seed + 1, false).hash, "seed {seed}");
    }
}
