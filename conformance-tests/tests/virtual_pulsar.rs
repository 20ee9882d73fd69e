//! The suite on virtual channels of a Pulsar server:
//!
//! ```sh
//! eval "$(brokers/up pulsar)"
//! cargo test -p msgstream-conformance --features pulsar --test virtual_pulsar
//! brokers/down pulsar
//! ```

mod minimum;
mod virtual_broker;

fn main() -> std::process::ExitCode {
    virtual_broker::run_on("pulsar", "", msgstream_pulsar::register, minimum::pulsar)
}
