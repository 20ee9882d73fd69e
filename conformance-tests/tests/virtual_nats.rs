//! The suite on virtual channels of a NATS server:
//!
//! ```sh
//! eval "$(brokers/up nats)"
//! cargo test -p msgstream-conformance --features nats --test virtual_nats
//! brokers/down nats
//! ```

mod minimum;
mod virtual_broker;

fn main() -> std::process::ExitCode {
    virtual_broker::run_on("nats", "", msgstream_nats::register, minimum::nats)
}
