//! Frames that are sent to a broker.

use pulsar::message::proto::base_command::Type;
use pulsar::message::{Message, proto};
use pulsar::proto::BaseCommand;

/// The version of the protocol.
const VERSION: i32 = 12;

fn frame(kind: Type, command: BaseCommand) -> Message {
    Message { command: BaseCommand { r#type: kind as i32, ..command }, payload: None }
}

const METHOD: &str = "token";

/// Greets a broker with the token, and names the broker behind a proxy.
pub(crate) fn connect(token: Option<String>, behind_proxy: Option<String>) -> Message {
    let connect = proto::CommandConnect {
        client_version: concat!("msgstream-", env!("CARGO_PKG_VERSION")).to_owned(),
        auth_method_name: token.as_ref().map(|_| METHOD.to_owned()),
        auth_data: token.map(String::into_bytes),
        protocol_version: Some(VERSION),
        proxy_to_broker_url: behind_proxy,
        ..Default::default()
    };
    frame(Type::Connect, BaseCommand { connect: Some(connect), ..Default::default() })
}

/// Answers a broker that asks for the token again.
pub(crate) fn authenticate(token: Option<String>) -> Message {
    let response = proto::AuthData {
        auth_method_name: token.as_ref().map(|_| METHOD.to_owned()),
        auth_data: token.map(String::into_bytes),
    };
    let auth_response = proto::CommandAuthResponse {
        response: Some(response),
        protocol_version: Some(VERSION),
        ..Default::default()
    };
    let command = BaseCommand { auth_response: Some(auth_response), ..Default::default() };
    frame(Type::AuthResponse, command)
}

pub(crate) fn ping() -> Message {
    let ping = Some(proto::CommandPing {});
    frame(Type::Ping, BaseCommand { ping, ..Default::default() })
}

pub(crate) fn pong() -> Message {
    let pong = Some(proto::CommandPong {});
    frame(Type::Pong, BaseCommand { pong, ..Default::default() })
}

/// Asks which broker has a topic, and for its address at one of its listeners.
pub(crate) fn lookup(
    request_id: u64,
    topic: String,
    authoritative: bool,
    listener: Option<String>,
) -> Message {
    let lookup = proto::CommandLookupTopic {
        topic,
        request_id,
        authoritative: Some(authoritative),
        advertised_listener_name: listener,
        ..Default::default()
    };
    frame(Type::Lookup, BaseCommand { lookup_topic: Some(lookup), ..Default::default() })
}

pub(crate) fn producer(request_id: u64, producer_id: u64, topic: String, name: String) -> Message {
    let producer = proto::CommandProducer {
        topic,
        producer_id,
        request_id,
        producer_name: Some(name),
        ..Default::default()
    };
    frame(Type::Producer, BaseCommand { producer: Some(producer), ..Default::default() })
}

pub(crate) fn close_producer(request_id: u64, producer_id: u64) -> Message {
    let close = Some(proto::CommandCloseProducer { producer_id, request_id });
    frame(Type::CloseProducer, BaseCommand { close_producer: close, ..Default::default() })
}

/// An entry: a batch of so many messages.
pub(crate) fn send(
    producer_id: u64,
    producer_name: String,
    sequence_id: u64,
    messages: i32,
    publish_time: u64,
    data: Vec<u8>,
) -> Message {
    let send = proto::CommandSend {
        producer_id,
        sequence_id,
        num_messages: Some(messages),
        ..Default::default()
    };
    let metadata = proto::MessageMetadata {
        producer_name,
        sequence_id,
        publish_time,
        num_messages_in_batch: Some(messages),
        ..Default::default()
    };
    let payload = Some(pulsar::Payload { metadata, data });
    let command = BaseCommand { send: Some(send), ..Default::default() };
    Message { payload, ..frame(Type::Send, command) }
}

/// Attaches a reader of its own to a topic that is there, at an entry; `None` is the first one.
pub(crate) fn subscribe(
    request_id: u64,
    consumer_id: u64,
    topic: String,
    subscription: String,
    start: Option<(u64, u64)>,
) -> Message {
    // An id in a batch is taken as its entry, one without as what comes after it.
    let (ledger_id, entry_id) = start.unwrap_or((u64::MAX, u64::MAX));
    let batch_index = start.map(|_| 0);
    let start = proto::MessageIdData { ledger_id, entry_id, batch_index, ..Default::default() };
    let subscribe = proto::CommandSubscribe {
        topic,
        subscription,
        sub_type: proto::command_subscribe::SubType::Exclusive as i32,
        consumer_id,
        request_id,
        durable: Some(false),
        start_message_id: Some(start),
        force_topic_creation: Some(false),
        initial_position: Some(proto::command_subscribe::InitialPosition::Earliest as i32),
        ..Default::default()
    };
    frame(Type::Subscribe, BaseCommand { subscribe: Some(subscribe), ..Default::default() })
}

/// Lets so many more messages come.
pub(crate) fn flow(consumer_id: u64, message_permits: u32) -> Message {
    let flow = Some(proto::CommandFlow { consumer_id, message_permits });
    frame(Type::Flow, BaseCommand { flow, ..Default::default() })
}

pub(crate) fn close_consumer(request_id: u64, consumer_id: u64) -> Message {
    let close = Some(proto::CommandCloseConsumer { consumer_id, request_id });
    frame(Type::CloseConsumer, BaseCommand { close_consumer: close, ..Default::default() })
}

/// Asks for the last message of a reader's topic.
pub(crate) fn last_message(request_id: u64, consumer_id: u64) -> Message {
    let ask = Some(proto::CommandGetLastMessageId { consumer_id, request_id });
    let command = BaseCommand { get_last_message_id: ask, ..Default::default() };
    frame(Type::GetLastMessageId, command)
}
