//! The README shows a program that runs: its lines are those of `examples/readme.rs`.

const README: &str = include_str!("../README.md");
const PROGRAM: &str = include_str!("../examples/readme.rs");

/// The blocks of Rust, each with its lines.
fn blocks() -> Vec<Vec<&'static str>> {
    let mut blocks = Vec::new();
    let mut lines = README.lines();
    while lines.by_ref().any(|line| line.starts_with("```rust")) {
        blocks.push(lines.by_ref().take_while(|line| *line != "```").map(str::trim).collect());
    }
    blocks
}

#[test]
fn the_programs_lines_are_the_examples() {
    let program: Vec<_> = PROGRAM.lines().map(str::trim).collect();
    let blocks = blocks();
    assert_eq!(blocks.len(), 2);
    for block in blocks {
        let found = program.windows(block.len()).any(|lines| lines == block);
        assert!(found, "not in examples/readme.rs: {block:#?}");
    }
}

#[test]
fn the_first_two_commands_are_the_main_job_and_the_tests() {
    let commands: Vec<_> = README.split("```sh\n").skip(1).collect();
    let replay = "cargo run --release -- replay ";
    assert!(commands[0].starts_with(replay), "{}", commands[0]);
    let tests = "cargo test --workspace --features full,planted-bugs\n```";
    assert!(commands[1].starts_with("brokers/with -- "), "{}", commands[1]);
    assert!(commands[1].contains(tests), "{}", commands[1]);
}
