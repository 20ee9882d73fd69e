//! The worlds find what they are there to find.

use msgstream_layers::planted::{Bug, plant};

#[test]
fn each_planted_bug_is_found() {
    for bug in Bug::ALL {
        plant(Some(bug));
        let found = (0..200).find_map(|seed| Some((seed, super::run(seed)?)));
        plant(None);
        let (seed, violation) = found.unwrap_or_else(|| panic!("{bug:?} was not found"));
        println!("{bug:?} shows in seed {seed}: {violation:.200}");
    }
}
