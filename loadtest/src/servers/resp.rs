//! Redis' protocol as far as tests need it: one command, one answer, on a connection of its own.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// Long for a server on the same machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Nil,
    Number(i64),
    Text(String),
    Refused(String),
    Many(Vec<Self>),
}

impl Reply {
    /// The text of an answer that is one.
    pub fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The number of an answer that is one.
    pub fn number(&self) -> Option<i64> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }
}

/// Sends one command to the server on that port of this machine. A refusal is an answer, not an error.
pub(super) fn ask(port: u16, words: &[&str]) -> Result<Reply> {
    let stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    (&stream).write_all(request.as_bytes())?;
    read(&mut BufReader::new(stream))
}

fn read(from: &mut impl BufRead) -> Result<Reply> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    let line = line.trim_end();
    let (kind, rest) = line.split_at_checked(1).context("the server hung up")?;
    Ok(match kind {
        "+" => Reply::Text(rest.to_owned()),
        "-" => Reply::Refused(rest.to_owned()),
        ":" => Reply::Number(rest.parse()?),
        "$" | "*" => {
            let Ok(length) = usize::try_from(rest.parse::<i64>()?) else { return Ok(Reply::Nil) };
            if kind == "*" {
                return Ok(Reply::Many((0..length).map(|_| read(from)).collect::<Result<_>>()?));
            }
            let mut text = vec![0; length + 2];
            from.read_exact(&mut text)?;
            text.truncate(length);
            Reply::Text(String::from_utf8_lossy(&text).into_owned())
        }
        _ => bail!("no answer in Redis' protocol: {line}"),
    })
}
