//! Three servers that are one cluster.

use std::net::TcpListener;
use std::sync::Arc;

use futures::future::join_all;
use msgstream_core::transport::Transport;
use serde_json::{Value, json};

use super::{Server, open};

/// Its streams have a copy on each server.
pub(crate) struct Cluster {
    pub(crate) servers: Vec<Server>,
}

impl Cluster {
    /// Returns once a stream with three copies can be made.
    pub(crate) async fn start() -> Self {
        let free = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let routes = free.each_ref().map(|port| port.local_addr().unwrap().to_string());
        drop(free);
        let list = routes.each_ref().map(|route| format!("\"nats://{route}\"")).join(", ");
        let configured = (1..).zip(&routes).map(async |(number, route)| {
            let cluster = format!("cluster {{ name: c, listen: \"{route}\", routes: [{list}] }}");
            let tag = ["first", "second", "third"][number - 1];
            let config = format!("server_name: n{number}\nserver_tags: [\"{tag}\"]\n{cluster}");
            Server::configured(&config).await
        });
        let cluster = Self { servers: join_all(configured).await };
        let client = cluster.client().await;
        let probe = json!({ "name": "probe", "subjects": ["probe"], "num_replicas": 3 });
        while ask(&client, "STREAM.CREATE.probe", &probe).await.is_none() {}
        ask(&client, "STREAM.DELETE.probe", &Value::Null).await.unwrap();
        cluster
    }

    async fn client(&self) -> async_nats::Client {
        let urls: Vec<_> = self.servers.iter().map(|server| server.url.clone()).collect();
        async_nats::connect(urls).await.unwrap()
    }

    pub(crate) async fn open(&self) -> Arc<dyn Transport> {
        let hosts = self.servers.iter().map(|s| s.url.strip_prefix("nats://").unwrap());
        let hosts: Vec<_> = hosts.collect();
        open(&format!("nats://{}/?replicas=3", hosts.join(","))).await.unwrap()
    }

    /// What the servers say about a stream.
    pub(crate) async fn info(&self, stream: &str) -> Value {
        info(&self.servers[0].url, stream).await
    }

    /// The server that leads a stream now.
    pub(crate) async fn leader(&self, stream: &str) -> &Server {
        let client = self.client().await;
        loop {
            let info = ask(&client, &format!("STREAM.INFO.{stream}"), &Value::Null).await;
            let name = info.as_ref().and_then(|info| info["cluster"]["leader"].as_str());
            if let Some(number) = name.and_then(|name| name.strip_prefix('n')) {
                return &self.servers[number.parse::<usize>().unwrap() - 1];
            }
        }
    }
}

/// What a server says about a stream.
pub(crate) async fn info(url: &str, stream: &str) -> Value {
    let client = async_nats::connect(url).await.unwrap();
    ask(&client, &format!("STREAM.INFO.{stream}"), &Value::Null).await.unwrap()
}

/// The answer to a request, where there is one that is no error.
async fn ask(client: &async_nats::Client, what: &str, body: &Value) -> Option<Value> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = client.request(format!("$JS.API.{what}"), body.into()).await.ok()?;
    let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
    answer.get("error").is_none().then_some(answer)
}
