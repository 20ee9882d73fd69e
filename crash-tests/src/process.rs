//! The processes that are killed.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Stdio;

use tokio::process::{Child, Command};

use crate::args::URL;
use crate::error::{Error, Result};
use crate::folder::Folder;

/// A producer or the consumer, in a process of its own. It ends with this handle.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    arguments: Vec<String>,
    url: String,
    folder: Folder,
    child: Child,
    done: bool,
}

impl Process {
    pub(crate) fn producer(url: &str, folder: &Folder, producer: u32) -> Result<Self> {
        let arguments = vec!["producer".to_owned(), "--index".to_owned(), producer.to_string()];
        Self::start(format!("producer-{producer}"), arguments, url, folder)
    }

    pub(crate) fn consumer(url: &str, folder: &Folder) -> Result<Self> {
        Self::start("consumer".to_owned(), vec!["consumer".to_owned()], url, folder)
    }

    fn start(name: String, arguments: Vec<String>, url: &str, folder: &Folder) -> Result<Self> {
        let said = said(folder, &name)?;
        let child = std::env::current_exe().and_then(|program| {
            let mut command = Command::new(program);
            command.args(&arguments).arg("--folder").arg(folder.path());
            // Not as an argument, which everybody could read.
            command.env(URL, url);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said);
            command.kill_on_drop(true).spawn()
        });
        let child = child.map_err(|source| Error::Process { name: name.clone(), source })?;
        let (url, folder) = (url.to_owned(), folder.clone());
        Ok(Self { name, arguments, url, folder, child, done: false })
    }

    /// Whether it has done its work.
    ///
    /// # Errors
    /// It failed.
    pub(crate) fn is_done(&mut self) -> Result<bool> {
        if !self.done
            && let Some(status) = self.child.try_wait().map_err(|e| self.failed(e))?
        {
            if !status.success() {
                let name = self.name.clone();
                let said = fs::read_to_string(self.folder.said(&name)).unwrap_or_default();
                return Err(Error::Failed { name, status: status.to_string(), said });
            }
            self.done = true;
        }
        Ok(self.done)
    }

    /// Kills it without warning; says whether it was still at work.
    ///
    /// # Cancel safety
    /// After a cancelled call it may be killed.
    pub(crate) async fn kill(&mut self) -> Result<bool> {
        if self.is_done()? {
            return Ok(false);
        }
        self.child.start_kill().map_err(|e| self.failed(e))?;
        let status = self.child.wait().await.map_err(|e| self.failed(e))?;
        self.done = status.success();
        Ok(!self.done)
    }

    /// The same once more, after it was killed.
    pub(crate) fn again(&self) -> Result<Self> {
        Self::start(self.name.clone(), self.arguments.clone(), &self.url, &self.folder)
    }

    fn failed(&self, source: std::io::Error) -> Error {
        Error::Process { name: self.name.clone(), source }
    }
}

fn said(folder: &Folder, name: &str) -> Result<File> {
    let path: PathBuf = folder.said(name);
    File::create(&path).map_err(Error::file(&path))
}
