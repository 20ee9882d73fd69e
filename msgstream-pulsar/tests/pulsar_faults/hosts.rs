//! Several hosts, of which some don't answer.

use msgstream_core::transport::{Start, Transport, TransportErrorKind as Kind, TransportExt as _};
use tokio::net::{TcpListener, TcpSocket};

use crate::proxy::{AdminProxy, Proxy};
use crate::support::{
    create, drain, open, open_with, read_from, record, refusal, shared, times, write,
};

/// A port that is taken, so that nobody else listens on it, and on which nobody does.
struct Nobody {
    address: String,
    _socket: TcpSocket,
}

fn nobody() -> Nobody {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    Nobody { address: socket.local_addr().unwrap().to_string(), _socket: socket }
}

/// A URL with the hosts of both, those of the first one first.
fn both(first: &str, second: &str) -> String {
    let parts = |url: &str| {
        let (broker, rest) = url.strip_prefix("pulsar://").unwrap().split_once('/').unwrap();
        let (path, admin) = rest.split_once("?admin=http://").unwrap();
        [broker, path, admin].map(str::to_owned)
    };
    let ([broker, path, admin], [next_broker, _, next_admin]) = (parts(first), parts(second));
    format!("pulsar://{broker},{next_broker}/{path}?admin=http://{admin},{next_admin}")
}

/// With this before the broker and before the admin interface.
fn behind(address: &str) -> String {
    both(&format!("pulsar://{address}/public/default?admin=http://{address}"), &shared())
}

async fn works(transport: &dyn Transport) {
    let channel = create(transport).await;
    let positions = write(transport, &channel, (0..3).map(record).collect()).await;
    assert_eq!(times(&read_from(transport, &channel, Start::At(positions[1])).await), [1, 2]);
    transport.subscription(&channel, "cursor").await.unwrap().ack(positions[2]).await.unwrap();
    transport.delete(&channel).await.unwrap();
}

#[tokio::test]
async fn a_closed_host_is_passed_over() {
    let nobody = nobody();
    works(&*open(&behind(&nobody.address)).await).await;
}

#[tokio::test]
async fn a_silent_host_is_passed_over() {
    // Connections to it are made, and nobody takes them.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = behind(&silent.local_addr().unwrap().to_string());
    works(&*open_with(&url, "&timeout_ms=10000").await.unwrap()).await;
}

#[track_caller]
fn names_both(kind: &Kind, hosts: [&str; 2], why: &str) {
    let Kind::Unavailable { reason } = kind else { panic!("{kind}") };
    let reasons: Vec<_> = reason.split("; ").collect();
    let told = |host: &str| reasons.iter().any(|r| r.contains(host) && r.contains(why));
    assert!(reasons.len() == 2 && hosts.into_iter().all(told), "{reason}");
}

#[tokio::test]
async fn closed_hosts_are_named_and_not_waited_for() {
    let [a, b] = [nobody(), nobody()];
    let hosts = [&*a.address, &*b.address];
    // Waiting for it would be a test that hangs.
    let options = "&timeout_ms=3600000&token=secret";
    let url = format!("pulsar://{}/public/default?admin=http://{}", hosts.join(","), a.address);
    names_both(&refusal(open_with(&url, options).await), hosts, "refused");
    // A broker, and no admin interface.
    let url = shared();
    let (broker, _) = url.split_once('?').unwrap();
    let url = format!("{broker}?admin=http://{}", hosts.join(","));
    names_both(&refusal(open_with(&url, "&timeout_ms=3600000").await), hosts, "refused");
}

#[tokio::test]
async fn silent_hosts_are_named_and_share_the_timeout() {
    let a = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let b = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hosts = [a, b].map(|listener| (listener.local_addr().unwrap().to_string(), listener));
    let names = [&*hosts[0].0, &*hosts[1].0];
    let url = format!("pulsar://{}/public/default?timeout_ms=2000", names.join(","));
    let kind = refusal(open_with(&url, "").await);
    names_both(&kind, names, "no answer within");
    assert!(kind.to_string().contains("no answer within 1000 ms"), "{kind}");
}

/// The hosts are two ways to one broker, and the first one ends.
#[tokio::test]
async fn where_a_host_goes_away_the_next_one_is_asked() {
    let way = Proxy::start(&shared(), |_, _| true).await;
    let admin = AdminProxy::start(&way.url, &[]).await;
    let transport = open(&both(&admin.url, &shared())).await;
    let channel = create(&*transport).await;
    write(&*transport, &channel, vec![record(0)]).await;
    let mut reader = transport.reader(&channel, Start::Earliest).await.unwrap();
    assert_eq!(times(&drain(&mut *reader).await), [0]);
    let mut writer = transport.writer(&channel).await.unwrap();

    drop((way, admin));
    // Its writer is at its end, as over any lost connection.
    while writer.ready().await.is_ok() {
        let outcome = writer.submit(vec![record(1)]).await;
        assert!(outcome.rest.is_some(), "a way that is gone took it");
    }
    transport.describe(&channel).await.unwrap();
    write(&*transport, &channel, vec![record(2)]).await;
    let mut read = drain(&mut *reader).await;
    while !times(&read).contains(&2) {
        read.extend(drain(&mut *reader).await);
    }
    works(&*transport).await;
}

/// The channel may be made all the same. The transport knows what to do about that, and the next
/// attempt is the other host's.
#[tokio::test]
async fn a_lost_answer_is_asked_for_again_at_the_next_host() {
    let proxy = AdminProxy::start(&shared(), &["PUT /admin/v2/persistent", "DELETE "]).await;
    let transport = open(&both(&proxy.url, &shared())).await;
    let channel = create(&*transport).await;
    assert_eq!(proxy.left(), 1);
    let error = transport.create(&channel).await.unwrap_err();
    assert_eq!(*error.kind(), Kind::AlreadyExists);
    transport.delete(&channel).await.unwrap();
    // The first host isn't asked any more.
    assert_eq!(proxy.left(), 1);
}

#[tokio::test]
async fn what_may_be_done_is_told_and_not_asked_of_the_next_host() {
    let proxy = AdminProxy::start(&shared(), &["POST /admin/v2/persistent"]).await;
    let transport = open(&both(&proxy.url, &shared())).await;
    let channel = create(&*transport).await;
    write(&*transport, &channel, vec![record(0)]).await;
    let positions = write(&*transport, &channel, vec![record(1)]).await;
    let cursor = transport.subscription(&channel, "cursor").await.unwrap();
    let error = cursor.ack(positions[0]).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::Unavailable { .. }), "{error}");
    assert_eq!(proxy.left(), 0);
    cursor.ack(positions[0]).await.unwrap();
    let acked = cursor.acked().await.unwrap().unwrap();
    assert_eq!(times(&read_from(&*transport, &channel, Start::At(acked)).await), [1]);
}

/// A broker has no listeners but those of its settings, and says so.
#[tokio::test]
async fn brokers_are_asked_for_their_address_at_the_listener() {
    let url = shared();
    let channel = create(&*open(&url).await).await;
    let option = "&timeout_ms=3000&listener=nowhere";
    let transport = open_with(&url, option).await.unwrap();
    let error = transport.writer(&channel).await.unwrap_err();
    let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |e| e.source());
    let text: Vec<_> = causes.map(ToString::to_string).collect();
    assert!(text.iter().any(|text| text.contains("nowhere")), "{text:?}");
}
