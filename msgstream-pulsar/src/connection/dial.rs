//! Reaching a broker.

use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use msgstream_core::adapter::Failure;
use msgstream_core::registry::Host;
use msgstream_core::transport::TransportErrorKind as Kind;
use pulsar::message::Codec;
use rustls::pki_types::InvalidDnsNameError;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_util::codec::{FramedRead, FramedWrite};

use super::{Io, Read, Target, Write};
use crate::config::Address;
use crate::error::unreachable_by;
use crate::framing::Framing;
use crate::tls;

/// How much is written before the socket is waited for, in bytes.
const WRITE_BUFFER: usize = 256 << 10;

/// Connects to a broker, with TLS if the address says so.
pub(super) async fn dial(target: &Target) -> Result<(Read, Write), Failure> {
    let Address { host: Host { name: host, port, .. }, tls } = &target.address;
    let failed = |error: Error| {
        let what = format_args!("connecting to the broker at {} failed", target.address);
        unreachable_by(what, error)
    };
    let stream = connect(host, *port, target.patience).await.map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    let stream: Box<dyn Io> = if *tls {
        let name = host.clone().try_into().map_err(|error: InvalidDnsNameError| {
            let reason = format!("no certificate can name the host `{host}`: use another name");
            Failure::new(Kind::Config { reason }, error)
        })?;
        let connector = TlsConnector::from(Arc::clone(&target.tls));
        let encrypted = connector.connect(name, stream).await;
        Box::new(encrypted.map_err(|error| unencrypted(&target.address, error))?)
    } else {
        Box::new(stream)
    };
    let (read, write) = tokio::io::split(stream);
    let mut write = FramedWrite::new(write, Codec);
    write.set_backpressure_boundary(WRITE_BUFFER);
    Ok((FramedRead::new(read, Framing), write))
}

/// Returns why a connection isn't encrypted.
fn unencrypted(address: &Address, error: Error) -> Failure {
    let place = format_args!("the broker at {address}");
    let hint = match error.kind() {
        ErrorKind::UnexpectedEof => " (the port may be one without TLS)",
        _ => "",
    };
    tls::distrust(place, &error).unwrap_or_else(|| {
        unreachable_by(format_args!("encrypting the connection to {place} failed{hint}"), error)
    })
}

/// One of a host's addresses, and why it can't be connected to.
#[derive(Debug, thiserror::Error)]
#[error("{address} can't be reached")]
struct AddressError {
    address: SocketAddr,
    source: Error,
}

async fn connect(host: &str, port: u16, limit: Duration) -> Result<TcpStream, Error> {
    let addresses: Vec<_> = lookup_host((host, port)).await?.collect();
    in_turn(&addresses, limit, TcpStream::connect).await
}

/// Tries one address after the other. Each has an equal share of the time that is left: one that is
/// silent must not keep others from being tried.
async fn in_turn<T>(
    addresses: &[SocketAddr],
    limit: Duration,
    connect: impl AsyncFn(SocketAddr) -> Result<T, Error>,
) -> Result<T, Error> {
    let begin = Instant::now();
    let mut last = Error::new(ErrorKind::NotFound, "the host name has no address");
    for (tried, address) in addresses.iter().enumerate() {
        let left = limit.saturating_sub(begin.elapsed());
        let share = left / u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        last = match timeout(share, connect(*address)).await {
            Ok(Ok(connected)) => return Ok(connected),
            Ok(Err(source)) => {
                Error::new(source.kind(), AddressError { address: *address, source })
            }
            Err(_) => {
                let what = format!("{address} didn't answer within {} ms", share.as_millis());
                Error::new(ErrorKind::TimedOut, what)
            }
        };
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::error::Error as _;
    use std::future::pending;

    use msgstream_core::adapter::cause;
    use msgstream_core::registry::Url;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(12);

    fn addresses() -> Vec<SocketAddr> {
        ["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"].map(|text| text.parse().unwrap()).into()
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_is_silent_leaves_time_for_the_others() {
        let begin = Instant::now();
        let all = addresses();
        let connected = in_turn(&all, LIMIT, async |address| match address {
            address if address == all[0] => pending().await,
            address if address == all[1] => Err(Error::from(ErrorKind::ConnectionRefused)),
            address => Ok(address),
        });
        assert_eq!(connected.await.unwrap(), all[2]);
        assert_eq!(begin.elapsed(), LIMIT / 3);
    }

    #[tokio::test]
    async fn what_refused_a_connection_stays_the_cause() {
        let address = addresses()[0];
        let refused = async |_: SocketAddr| Err::<(), _>(Error::from(ErrorKind::ConnectionRefused));
        let error = in_turn(&[address], LIMIT, refused).await.unwrap_err();
        assert!(error.to_string().contains("10.0.0.1:1"), "{error}");
        let by_address = cause::<AddressError>(&error).unwrap();
        assert_eq!(by_address.source.kind(), ErrorKind::ConnectionRefused);
        assert!(!error.to_string().contains(&by_address.source.to_string()), "{error}");
    }

    #[test]
    fn what_broke_off_the_encryption_stays_the_cause() {
        let host = Url::parse("pulsar+ssl://a").unwrap();
        let address = Address::all(&host, "").unwrap().remove(0);
        let untrusted = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        for (error, what) in [
            (Error::from(ErrorKind::UnexpectedEof), "without TLS"),
            (Error::from(ErrorKind::ConnectionReset), "encrypting"),
            (Error::new(ErrorKind::InvalidData, untrusted), "isn't trusted"),
        ] {
            let own = error.to_string();
            let failed = unencrypted(&address, error).during("connect");
            let text = failed.to_string();
            assert!(text.contains(what) && !text.contains(&own), "{text}");
            assert!(
                failed.source().is_some_and(|cause| own.contains(&cause.to_string())),
                "{text}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn where_none_answers_the_limit_is_that_of_all() {
        let begin = Instant::now();
        let all = addresses();
        let failed = in_turn(&all, LIMIT, async |_| pending::<Result<(), _>>().await);
        let error = failed.await.unwrap_err().to_string();
        assert_eq!(error, "10.0.0.3:1 didn't answer within 4000 ms");
        assert_eq!(begin.elapsed(), LIMIT);
        assert!(in_turn(&[], LIMIT, async |_| Ok(())).await.is_err());
    }
}
