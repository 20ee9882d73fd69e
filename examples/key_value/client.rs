//! The processes from outside: started, killed, and asked.

use std::env;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;

/// A process that serves the keys.
pub(crate) struct Node {
    process: Child,
    address: String,
}

impl Node {
    pub(crate) fn start(number: usize, url: &str, channel: &str) -> Result<Self> {
        let mut process = Command::new(env::current_exe()?)
            .args(["--node", &number.to_string(), url, channel])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut address = String::new();
        BufReader::new(process.stdout.take().ok_or("no stdout")?).read_line(&mut address)?;
        Ok(Self { process, address: address.trim().to_owned() })
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.kill());
    }
}

/// Asks one node after the other until one leads.
#[derive(Debug, Default)]
pub(crate) struct Client {
    leader: usize,
}

impl Client {
    /// Returns who led when it was last asked.
    pub(crate) const fn leader(&self) -> usize {
        self.leader
    }

    /// Sets a value. To set it again does no harm, so it is tried until it is acknowledged.
    pub(crate) fn set(&mut self, nodes: &[Node], key: &str, value: &str) -> Result<()> {
        self.ask(nodes, &format!("set {key} {value}")).map(drop)
    }

    pub(crate) fn get(&mut self, nodes: &[Node], key: &str) -> Result<Option<String>> {
        let answer = self.ask(nodes, &format!("get {key}"))?;
        Ok(answer.strip_prefix("= ").map(str::to_owned))
    }

    fn ask(&mut self, nodes: &[Node], request: &str) -> Result<String> {
        let until = Instant::now() + Duration::from_secs(180);
        while Instant::now() < until {
            match call(&nodes[self.leader].address, request) {
                Ok(answer) if answer.starts_with("= ") || answer == "none" => return Ok(answer),
                // It doesn't lead, or is gone.
                Ok(_) | Err(_) => self.leader = (self.leader + 1) % nodes.len(),
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err(format!("nobody answered `{request}` for three minutes").into())
    }
}

fn call(address: &str, request: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    writeln!(stream, "{request}")?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    Ok(answer.trim_end().to_owned())
}
