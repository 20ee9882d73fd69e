//! The suite on virtual channels of a Kafka server:
//!
//! ```sh
//! eval "$(brokers/up kafka)"
//! cargo test -p msgstream-conformance --features kafka --test virtual_kafka
//! brokers/down kafka
//! ```

mod minimum;
mod virtual_broker;

fn main() -> std::process::ExitCode {
    // A hundred readers that are opened at once have that time together.
    virtual_broker::run_on("kafka", "?timeout_ms=60000", msgstream_kafka::register, minimum::kafka)
}
